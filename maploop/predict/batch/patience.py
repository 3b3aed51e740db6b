"""Asking a server until it answers: it may be away for an hour while a batch is at work."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from maploop.errors import ConflictError
from maploop.predict.chat.pace import Clock
from maploop.predict.chat.server import Trouble

T = TypeVar("T")

FIRST_LOOK: Final = 5.0  # seconds until a batch is looked at again; longer each time that nothing came of it
LONGEST_LOOK: Final = 60.0
_GIVE_UP: Final = 3600.0  # seconds without an answer
_GIVE_UP_STOPPED: Final = 60.0  # the same when somebody waits for the run to stop
_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
_STEP: Final = 1.0  # between looks whether the run was stopped


class Patience:
    """Waits for one run, which may be `stopped` meanwhile."""

    def __init__(self, clock: Clock, stopped: Callable[[], bool]) -> None:
        self._clock = clock
        self._stopped = stopped
        self._look = FIRST_LOOK

    def insist(
        self,
        send: Callable[[], T | Trouble],
        look_up: Callable[[], T | Trouble | None] | None = None,
        *,
        unsure: bool = False,
    ) -> T | Trouble:
        """Send until there is an answer, or a Trouble that no repetition ends.

        `look_up` finds out whether what brought no answer was done all the same: it is asked before anything is sent
        again, and at once when somebody else may have sent it (`unsure`). Raises ConflictError when the server is away
        for too long.
        """
        began, wait = self._clock.now(), _FIRST_WAIT
        while True:
            answer: T | Trouble | None = None
            if unsure and look_up is not None:
                answer = look_up()
            if answer is None:
                answer = send()
                unsure = True
            if not isinstance(answer, Trouble) or not answer.again:
                return answer
            spent = self._clock.now() - began
            if spent > (_GIVE_UP_STOPPED if self._stopped() else _GIVE_UP):
                msg = f"{answer.failure.message} Nothing is lost: resume the run when it does."
                raise ConflictError(msg)
            self.pause(min(answer.rest or wait, _GIVE_UP))
            wait = min(2 * wait, _LONGEST_WAIT)

    def until_next_look(self) -> None:
        """Wait before batches are looked at again."""
        self.pause(self._look)
        self._look = min(1.5 * self._look, LONGEST_LOOK)

    def something_came(self) -> None:
        """More may come soon."""
        self._look = FIRST_LOOK

    def pause(self, seconds: float) -> None:
        """Wait; as soon as the run is stopped, that is over."""
        before = self._stopped()
        end = self._clock.now() + seconds
        while (left := end - self._clock.now()) > 0.001 and (before or not self._stopped()):
            self._clock.wait(min(_STEP, left), threading.Event())
