"""The process's foreman of a database: started with the app, asked by its pages."""

import threading
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from db.models import Run, TuningJob
from maploop.database import Database
from maploop.work.foreman import Foreman, Task, Watch

_foremen: dict[str, Foreman] = {}
_starting = threading.Lock()


def start_work(database: Database) -> Foreman:
    """Have somebody look for work from now on; what an earlier process left is taken up at once."""
    with _starting:
        foreman = _foremen.setdefault(database.url, Foreman(database, (_runs, _trainings)))
    foreman.start()
    return foreman


def foreman_of(database: Database) -> Foreman | None:
    """Who has the work done in this process; None when nobody was started, as outside of the app."""
    return _foremen.get(database.url)


def wake(database: Database) -> None:
    """Tell that there is something to do."""
    if foreman := foreman_of(database):
        foreman.wake()


def watch_of(database: Database, kind: str, row_id: int) -> Watch | None:
    """How far a task is that is at work in this process."""
    foreman = foreman_of(database)
    return foreman.watch((kind, row_id)) if foreman else None


def _runs(database: Database) -> Sequence[Task]:
    if not _is_any(database, select(Run.id).where(Run.status == "running")):
        return ()
    from maploop.work.runs import waiting_runs  # noqa: PLC0415  takes a second to import, and most looks find nothing

    return waiting_runs(database, apart=True)


def _trainings(database: Database) -> Sequence[Task]:
    if not _is_any(database, select(TuningJob.id).where(TuningJob.finished_at.is_(None))):
        return ()
    from maploop.work.trainings import waiting_trainings  # noqa: PLC0415

    return waiting_trainings(database, apart=True)


def _is_any(database: Database, query: Select[Any]) -> bool:
    with database.read() as connection:
        return connection.execute(query.limit(1)).first() is not None
