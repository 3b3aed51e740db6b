"""Trainings in the background of the app: begun and cancelled from a page, carried out by the foreman."""

from collections.abc import Callable
from dataclasses import dataclass

from maploop.database import Database
from maploop.dataset.datasets import DatasetView
from maploop.dataset.reading import Sources
from maploop.errors import said_of
from maploop.predict.models import ModelView
from maploop.project import ProjectView, load_project_by_id
from maploop.tune.jobs import JobView
from maploop.tune.naming import FRESH_LOCAL, free_name
from maploop.tune.plan import Clients
from maploop.tune.preflight import local_plan
from maploop.tune.records import cancel_job, give_up_job, resume_job, waiting_jobs
from maploop.tune.vendor_files import delete_when_asked
from maploop.tune.work import carry_out_job, start_job
from maploop.work.foreman import Foreman, Key, Lane, Watch
from maploop.work.messenger import Errand, send


@dataclass(frozen=True)
class TrainingTask:
    """A training that waits to be taken up; `apart`: by a process of its own."""

    database: Database
    project_id: int
    job_id: int
    lane: Lane
    apart: bool = False
    sources: Sources | None = None
    clients: Clients | None = None

    @property
    def key(self) -> Key:
        """See `foreman.Task`."""
        return training_key(self.job_id)

    def carry_out(self, watch: Watch) -> None:
        """See `foreman.Task`."""
        if self.apart:
            self._send(watch)
            return
        with self.database.read() as connection:
            project = load_project_by_id(connection, self.project_id)
        carry_out_job(
            self.database,
            project,
            self.job_id,
            self.clients,
            watch.hear,
            watch.cancelled,
            sources=self.sources,
            resume=False,
        )

    def _send(self, watch: Watch) -> None:
        try:
            send(Errand(self.database.url, "training", self.project_id, self.job_id), watch)
        except Exception as error:
            with self.database.write() as connection:
                give_up_job(connection, self.job_id, said_of(error))
            raise


def carry_out_training(
    database: Database,
    project_id: int,
    job_id: int,
    *,
    hear: Callable[[float, str], None],
    put_down: Callable[[], bool],
) -> None:
    """Take a training on this machine up and carry it out; see `tune.work.carry_out_job`."""
    with database.read() as connection:
        project = load_project_by_id(connection, project_id)
    carry_out_job(database, project, job_id, hear=hear, put_down=put_down, resume=False)


def training_key(job_id: int) -> Key:
    """How the foreman calls a training."""
    return ("training", job_id)


def waiting_trainings(
    database: Database, sources: Sources | None = None, clients: Clients | None = None, *, apart: bool = False
) -> list[TrainingTask]:
    """The trainings that the app can take up, the oldest first.

    `apart`: those on this machine are carried out by processes of their own.
    """
    with database.read() as connection:
        waiting = waiting_jobs(connection)
    return [
        TrainingTask(
            database,
            each.project_id,
            each.job_id,
            lane,
            apart and lane == "heavy",
            sources,
            clients,
        )
        for each in waiting
        for lane in [_lane(each.trainer)]
    ]


def _lane(trainer: str) -> Lane:
    return "heavy" if trainer == "local" else "watching"


def begin_local(
    database: Database,
    project: ProjectView,
    dataset: DatasetView,
    parent: ModelView | None,
    *,
    name: str | None,
    annotator: str,
) -> JobView:
    """Begin a training on this machine that the app carries out, from a model or, without one, from nothing.

    Raises MaploopError saying what forbids it.
    """
    with database.read() as connection:
        base = parent.name if parent else FRESH_LOCAL
        plan = local_plan(dataset, base, parent, free_name(connection, project, name, f"{base}-{dataset.id[:8]}"))
    return start_job(database, project, plan, None, annotator=annotator, in_app=True)


def cancel(database: Database, project: ProjectView, job_id: int, foreman: Foreman | None) -> None:
    """End a training without a model, wherever it is at work. Raises NotFoundError, ConflictError when it is over."""
    with database.write() as connection:
        cancel_job(connection, project, job_id)
    if foreman:
        foreman.cancel(training_key(job_id))
    delete_when_asked(database, project, job_id)


def resume(database: Database, project: ProjectView, job_id: int) -> None:
    """Let the app go on with a training. Raises NotFoundError, ConflictError when that cannot be."""
    with database.write() as connection:
        resume_job(connection, project, job_id, in_app=True)
