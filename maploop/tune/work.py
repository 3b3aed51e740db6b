"""Trainings as work: begun when somebody has confirmed the plan, carried out by whoever takes them up."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select

from db.bulk import lock_project
from db.models import TuningJob
from db.types import utc_now
from maploop.database import Database
from maploop.dataset.datasets import imagery_sources, load_dataset
from maploop.dataset.reading import Sources
from maploop.errors import ConflictError, said_of
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.models import add_model, list_models, load_model
from maploop.predict.runs import BEAT_SECONDS, new_worker
from maploop.project import ProjectView
from maploop.settings import get_settings
from maploop.tune.hosted import HostedJob, pass_seconds
from maploop.tune.jobs import JobView, load_job
from maploop.tune.lease import TuningPulse
from maploop.tune.naming import free_name
from maploop.tune.plan import Clients, Confirmation, Preflight, check_confirmed
from maploop.tune.records import add_job, beat_job, end_job, let_go, note_job, take_job, tell
from maploop.tune.remote import Remote
from maploop.tune.trainer import Lesson, Trainer, TuningCancelledError
from maploop.tune.vendor_files import delete_when_asked

LOCAL_BEAT_SECONDS = 2.0  # somebody waits for it, and may change their mind

Hear = Callable[[float, str], None]


def start_job(
    database: Database,
    project: ProjectView,
    plan: Preflight,
    confirmation: Confirmation | None,
    *,
    annotator: str | None = None,
    in_app: bool = False,
) -> JobView:
    """Make a training of a plan that somebody has confirmed; it waits for somebody to carry it out.

    `confirmation` is `plan.confirmation` as it was shown, None for a local one. The same plan again gives the same
    job. `in_app`: the app carries it out, after a restart too. Raises InputError when something forbids it,
    ConflictError when another plan was confirmed.
    """
    check_confirmed(plan, confirmation)
    with database.write() as connection:
        lock_project(connection, project.id)
        same = connection.execute(select(TuningJob.id).where(TuningJob.token == plan.token)).scalar()
        if same is not None:
            return load_job(connection, project, same)
        parent = load_model(connection, project, plan.parent) if plan.parent else None
        free_name(connection, project, plan.name, plan.name)
        who = annotator or get_settings().user
        job_id = add_job(
            connection, project, plan, parent_id=parent.id if parent else None, annotator=who, in_app=in_app
        )
        tell(connection, job_id, f"Confirmed by {who}: {plan.question}")
        return load_job(connection, project, job_id)


def carry_out_job(
    database: Database,
    project: ProjectView,
    job_id: int,
    clients: Clients | None = None,
    hear: Hear = lambda _share, _text: None,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    put_down: Callable[[], bool] = lambda: False,
    sources: Sources | None = None,
    resume: bool = True,
    wait: Callable[[float], None] = pass_seconds,
    now: Callable[[], datetime] = utc_now,
) -> JobView:
    """See a training through that nobody is at work on -> as it ended: succeeded with its model, failed, cancelled.

    `clients` opens a server, with keys from the settings unless told. Once `cancelled` says so, or somebody cancels it,
    it is cancelled at the server too. A process that is stopped or killed leaves it as it is: a server trains on, and
    whoever takes it up pays nothing twice. Once `put_down` says so, a training on this machine is left like that too,
    and begins again with whoever takes it up. Raises ConflictError when somebody is at work on it, it is over, or was
    ended and this is not to `resume` it; and whatever stops it here, such as a missing key: what was ordered is then
    looked at again after a while, and everything else is `failed` and says why.
    """
    worker = new_worker()
    with database.write() as connection:
        job = take_job(connection, project, job_id, worker, resume=resume)
    seconds = LOCAL_BEAT_SECONDS if job.trainer == "local" else BEAT_SECONDS
    with TuningPulse(database, job_id, worker, seconds) as pulse:
        try:
            if job.trainer == "local":
                _train_here(
                    database,
                    project,
                    job,
                    worker,
                    hear,
                    lambda: pulse.wish == "cancel" or cancelled() or put_down(),
                    sources,
                )
            else:
                replace(
                    _hosted(database, project, job, worker, clients),
                    sources=sources,
                    hear=hear,
                    cancelled=cancelled,
                    wait=wait,
                    now=now,
                ).carry_out()
        except TuningCancelledError as error:
            with database.write() as connection:
                if put_down() and not cancelled() and beat_job(connection, job_id, worker) != "cancel":
                    msg = f"Tuning job {job_id} was put down: it begins again with whoever takes it up."
                    raise ConflictError(msg) from error
                end_job(connection, job_id, worker, "cancelled", doing="Cancelled")
            raise
        except Exception as error:
            _stopped(database, job_id, worker, said_of(error))
            delete_when_asked(database, project, job_id, clients)
            raise
        finally:
            with database.write() as connection:
                let_go(connection, job_id, worker)
    with database.read() as connection:
        return load_job(connection, project, job_id)


def meet_wish(database: Database, project: ProjectView, job_id: int, clients: Clients | None = None) -> JobView:
    """Do at the server what a person wishes of a training that nobody has in hand, look at it once, and let go.

    Raises ConflictError when somebody took it up, InputError when the server cannot be asked.
    """
    worker = new_worker()
    with database.write() as connection:
        job = take_job(connection, project, job_id, worker)
    try:
        if job.trainer == "openai":
            _hosted(database, project, job, worker, clients).look_once()
    finally:
        with database.write() as connection:
            let_go(connection, job_id, worker)
    with database.read() as connection:
        return load_job(connection, project, job_id)


def _hosted(database: Database, project: ProjectView, job: JobView, worker: str, clients: Clients | None) -> HostedJob:
    parameters = ChatParameters.of(job.preflight.get("parameters", {}))
    remote = Remote((clients or _clients())(parameters), job.base_url, job.base)
    return HostedJob(database, project, load_dataset(database, job.dataset_id), job.id, worker, remote)


def _stopped(database: Database, job_id: int, worker: str, error: str) -> None:
    """What stopped the work here: an end, unless a server may go on with it."""
    with database.write() as connection:
        row = connection.execute(
            select(TuningJob.worker, TuningJob.asked_at, TuningJob.remote_id).where(TuningJob.id == job_id)
        ).one_or_none()
        if row is None or row.worker != worker:
            return  # somebody else has it
        if row.asked_at is not None or row.remote_id is not None:
            let_go(connection, job_id, worker, trouble=error)
            return
        tell(connection, job_id, error, "error")
        end_job(connection, job_id, worker, "failed", error, doing="Given up")


def _train_here(
    database: Database,
    project: ProjectView,
    job: JobView,
    worker: str,
    hear: Hear,
    cancelled: Callable[[], bool],
    sources: Sources | None,
) -> None:
    """Train a local model while one waits, and register it in the transaction that ends the job."""
    dataset = load_dataset(database, job.dataset_id)
    with database.read() as connection:
        models = {each.name: each for each in list_models(connection, project)}
    said = ""

    def note(share: float, text: str) -> None:
        nonlocal said
        hear(share, text)
        if text != said or share - shown[0] >= 0.02:  # not every step is worth a write
            with database.write() as connection:
                note_job(connection, job.id, worker, status="running", share=share, doing=text)
                if text != said:
                    tell(connection, job.id, text)
            said, shown[0] = text, share

    shown = [0.0]
    parent = models.get(job.parent) if job.parent else None
    trainer = _trainer()
    trained = trainer.train(
        Lesson(
            project=project,
            dataset=dataset,
            snapshot=dataset.snapshot(),
            base=parent,
            name=job.name,
            sources=sources or imagery_sources(database),
            hear=note,
            cancelled=cancelled,
        )
    )
    with database.write() as connection:
        model = add_model(
            connection,
            project,
            job.name,
            trainer.backend,
            identifier=trained.identifier,
            parameters=dict(trained.parameters),
            parent_id=parent.id if parent else None,
            dataset_id=dataset.id,
        )
        tell(connection, job.id, f"Made {model.name!r}.")
        end_job(
            connection,
            job.id,
            worker,
            "succeeded",
            result=trained.identifier,
            model_id=model.id,
            share=1.0,
            doing="Done",
        )


def _trainer() -> Trainer:
    from maploop.tune.local import LocalTrainer  # noqa: PLC0415  scikit-learn takes a second to import

    return LocalTrainer()


def _clients() -> Clients:
    from maploop.tune.clients import client_of  # noqa: PLC0415

    return client_of
