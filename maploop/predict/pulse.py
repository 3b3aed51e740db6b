"""Signs of life of somebody at work, so that nobody else takes the work up meanwhile."""

import logging
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from sqlalchemy import Connection

from maploop.database import Database
from maploop.errors import DatabaseError

logger = logging.getLogger(__name__)


class Pulse(ABC):
    """Beats in a thread of its own while the thread that enters it is at work; `name` is the work's."""

    def __init__(self, database: Database, name: str, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name=name, daemon=True)

    @abstractmethod
    def beat(self, connection: Connection) -> bool:
        """Give one sign of life, in a write transaction -> whether more are wanted."""

    def _go_on(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                with self._database.write() as connection:
                    is_wanted = self.beat(connection)
            except DatabaseError as error:
                logger.warning("%s could not give a sign of life: %s", self._thread.name, error)
                continue
            if not is_wanted:
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
