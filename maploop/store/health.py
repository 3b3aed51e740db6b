"""Whether decisions can be stored right now: found out by writing one row, as seldom as is enough."""

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

from sqlalchemy import Connection, update

from db.group import GroupWriter
from db.models import Store
from db.types import utc_now
from maploop.errors import DatabaseError

PATIENCE_SECONDS = 5
FRESH_SECONDS = 2  # whoever asks more often gets the last answer: nobody needs a token to ask
OK = "ok"


@dataclass
class _Last:
    state: str = ""
    at: float = 0.0


class HealthCheck:
    """Writes by the way that decisions take, and answers `ok` or the kind of trouble (maploop.errors.DatabaseError)."""

    def __init__(self, writer: GroupWriter) -> None:
        self._writer = writer
        self._last = _Last()
        self._lock = threading.Lock()

    def state(self) -> str:
        """The state, at most `FRESH_SECONDS` old; waits at most `PATIENCE_SECONDS` and a bit."""
        with self._lock:
            if not self._last.state or time.monotonic() - self._last.at > FRESH_SECONDS:
                self._last = _Last(self._try(), time.monotonic())
            return self._last.state

    def _try(self) -> str:
        answer: Future[None] = self._writer.submit(_write, PATIENCE_SECONDS)
        try:
            answer.result(PATIENCE_SECONDS + 1)
        except DatabaseError as error:
            return error.kind or "failing"
        except TimeoutError:
            answer.cancel()
            return "busy"
        return OK


def _write(connection: Connection) -> None:
    connection.execute(update(Store).values(checked_at=utc_now()))
