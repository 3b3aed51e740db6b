"""The foreman: hands work to threads of this process, and takes up what an earlier process left.

What there is to do stands in the database, and is looked for there again and again. So nothing is lost with the
process: to start work is to write its row, and what a killed app left is found like everything else. Who takes work up
holds it by the lease of its row; several apps on one database share it out.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from maploop.database import Database
from maploop.errors import MaploopError

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0  # between two looks for work that another process left
HANDS: Final = {
    "heavy": 1,  # tasks at a time that keep the processor busy
    "asking": 4,  # that ask a server as fast as it answers
    "watching": 16,  # that look after something at a server now and then
}

Lane = Literal["heavy", "asking", "watching"]
Key = tuple[str, int]  # the kind of a task, and the id of its row


@dataclass
class Watch:
    """A task at work in this process, as others see it: how far it is, and a way to stop it.

    share, text     from 0 to 1, and what is going on
    begun           when this process took it up (`time.monotonic`), and the share it found
    """

    key: Key
    share: float = 0.0
    text: str = ""
    begun: float = field(default_factory=time.monotonic)
    begun_at: float | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _then: Callable[[], None] = field(default=lambda: None)

    def hear(self, share: float, text: str = "") -> None:
        """Note how far it is."""
        if self.begun_at is None:
            self.begun_at = share
        self.share, self.text = share, text

    def cancel(self) -> None:
        """Ask it to stop."""
        self._cancelled.set()
        self._then()

    def when_cancelled(self, then: Callable[[], None]) -> None:
        """Have something done as soon as it is asked to stop; at once when it was. It may be done twice."""
        self._then = then
        if self._cancelled.is_set():
            then()

    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._cancelled.is_set()

    @property
    def seconds_left(self) -> float | None:
        """About how long it will take at the pace so far; None while that cannot be told."""
        made = self.share - (self.begun_at or 0.0)
        spent = time.monotonic() - self.begun
        return spent / made * (1 - self.share) if made > 0.01 and spent > 1 else None


class Task(Protocol):
    """Something to do that stands in the database."""

    @property
    def key(self) -> Key:
        """Names it, in this process and in others."""
        ...

    @property
    def lane(self) -> Lane:
        """What it takes to do it."""
        ...

    def carry_out(self, watch: Watch) -> None:
        """Take it up and do it, and leave how it ended in its row. Raises MaploopError when somebody else has it."""
        ...


Finder = Callable[[Database], Sequence[Task]]  # what waits for somebody to do it, the oldest first


class Foreman:
    """Looks for work and has it done, each task in a thread of its own."""

    def __init__(self, database: Database, finders: Iterable[Finder]) -> None:
        self._database = database
        self._finders = tuple(finders)
        self._at_work: dict[Key, tuple[Watch, Lane]] = {}
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look for work; once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look_for_work, name="foreman", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Look at once: there is something to do."""
        self._woken.set()

    def watch(self, key: Key) -> Watch | None:
        """A task at work here; None when it is not."""
        with self._lock:
            found = self._at_work.get(key)
        return found[0] if found else None

    def cancel(self, key: Key) -> None:
        """Ask a task to stop, if it is at work here."""
        if found := self.watch(key):
            found.cancel()

    def work_off(self) -> None:
        """Do in this thread all there is to do, each task once."""
        done: set[Key] = set()
        while task := next((each for each in self._waiting() if each.key not in done and self._take(each)), None):
            done.add(task.key)
            self._do(task)

    def _look_for_work(self) -> None:
        while True:
            try:
                for task in self._waiting():
                    if self._take(task):
                        threading.Thread(
                            target=self._do, args=(task,), name=f"{task.key[0]}-{task.key[1]}", daemon=True
                        ).start()
            except Exception:  # whatever it was, there may be work all the same
                logger.exception("could not look for work: trying again")
            self._woken.wait(LOOK_SECONDS)
            self._woken.clear()

    def _waiting(self) -> list[Task]:
        return [task for find in self._finders for task in find(self._database)]

    def _take(self, task: Task) -> bool:
        """Whether there is a hand free for the task, which then is at work."""
        with self._lock:
            busy = sum(lane == task.lane for _, lane in self._at_work.values())
            if task.key in self._at_work or busy >= HANDS[task.lane]:
                return False
            self._at_work[task.key] = Watch(task.key), task.lane
            return True

    def _do(self, task: Task) -> None:
        watch = self._at_work[task.key][0]
        try:
            task.carry_out(watch)
        except MaploopError as error:
            logger.warning("%s %s: %s", *task.key, error)
        except Exception:
            logger.exception("%s %s stopped", *task.key)
        finally:
            with self._lock:
                del self._at_work[task.key]
            self._woken.set()  # a hand is free
