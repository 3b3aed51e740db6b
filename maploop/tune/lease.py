"""Signs of life while somebody carries a training out, and what people wish meanwhile."""

from sqlalchemy import Connection

from maploop.database import Database
from maploop.errors import ConflictError
from maploop.predict.pulse import Pulse
from maploop.tune.records import beat_job


class TuningPulse(Pulse):
    """Of a training. `wish`: a person's, as of the last beat. Once somebody else has taken it up, it beats no more."""

    def __init__(self, database: Database, job_id: int, worker: str, seconds: float) -> None:
        super().__init__(database, f"tuning-{job_id}", seconds)
        self._job_id = job_id
        self._worker = worker
        self.wish: str | None = None

    def beat(self, connection: Connection) -> bool:
        """See `Pulse`."""
        try:
            self.wish = beat_job(connection, self._job_id, self._worker)
        except ConflictError:
            return False
        return True
