"""How long to wait before a server is asked again: as long as it says, or longer each time."""

import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

LONGEST_REST: Final = 600.0  # seconds; who wants more is not waited for
_LONGEST_STEP: Final = 60.0
_JITTER: Final = 1.0  # seconds after a rest, so that not all come at once


class Clock(Protocol):
    """Time, as far as waiting goes."""

    def now(self) -> float:
        """Seconds that only grow."""
        ...

    def today(self) -> datetime:
        """Date and time, with its zone."""
        ...

    def wait(self, seconds: float, halt: threading.Event) -> None:
        """Return after so many seconds, or as soon as `halt` is set."""
        ...


class RealClock:
    """The one on the wall."""

    def now(self) -> float:
        return time.monotonic()

    def today(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float, halt: threading.Event) -> None:
        halt.wait(seconds)


class Pace:
    """Rests that all workers at one server keep together; safe to use from many threads."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        """`chance` gives numbers from 0 to 1."""
        self._clock = clock
        self._chance = chance
        self._rest_until = -math.inf
        self._lock = threading.Lock()

    def rest(self, seconds: float) -> None:
        """Nobody asks for so many seconds from now."""
        with self._lock:
            self._rest_until = max(self._rest_until, self._clock.now() + seconds)

    def wait_for_turn(self, halt: threading.Event) -> None:
        """Return when the rest is over, or `halt` is set."""
        while not halt.is_set():
            left = self._rest_until - self._clock.now()
            if left <= 0:
                return
            self._clock.wait(left + self._chance() * min(_JITTER, left), halt)

    def wait_after(self, attempt: int, halt: threading.Event) -> None:
        """Wait before another attempt at the same tile: about twice as long each time, never the same."""
        step = min(_LONGEST_STEP, 2.0**attempt)
        self._clock.wait(step * (0.5 + 0.5 * self._chance()), halt)


def seconds_to_rest(headers: Mapping[str, str], today: datetime) -> float | None:
    """What `retry-after` asks for, given in seconds or as a date; None when it says nothing that can be read."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - today).total_seconds())
