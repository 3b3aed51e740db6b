"""Signs of life while somebody carries a training out, and what people wish meanwhile."""

import logging
import threading
from types import TracebackType
from typing import Self

from sqlalchemy.exc import OperationalError

from maploop.database import Database
from maploop.errors import ConflictError
from maploop.predict.runs import BEAT_SECONDS
from maploop.tune.records import beat_job

logger = logging.getLogger(__name__)


class Pulse:
    """Beats for a training in a thread of its own, while the thread that carries it out trains or sends files.

    `wish` is a person's, as of the last beat. Once somebody else has taken the training up, it beats no more.
    """

    def __init__(self, database: Database, job_id: int, worker: str, *, seconds: float = BEAT_SECONDS) -> None:
        self._database = database
        self._job_id = job_id
        self._worker = worker
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"tuning-{job_id}", daemon=True)
        self.wish: str | None = None

    def _beat(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                with self._database.write() as connection:
                    self.wish = beat_job(connection, self._job_id, self._worker)
            except OperationalError:
                logger.warning("tuning job %s could not give a sign of life: the database is busy", self._job_id)
            except ConflictError:
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
