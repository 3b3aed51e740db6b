"""Trainings as rows: begun, held by one worker at a time, told of what happened, ended; and what people wish."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, insert, select, update

from db.models import TuningCheckpoint, TuningEvent, TuningJob
from db.types import utc_now
from maploop.errors import ConflictError, NotFoundError
from maploop.predict.runs import is_alive
from maploop.project import ProjectView, annotator_id
from maploop.tune.jobs import OVER, JobView, load_job
from maploop.tune.plan import Preflight

TRY_AGAIN: Final = timedelta(seconds=60)  # after something that takes a person to mend
Wish = Literal["pause", "resume", "cancel"]


@dataclass(frozen=True)
class NewEvent:
    """Something that happened, to be stored once under its `remote_id`."""

    remote_id: str
    at: datetime
    level: str
    message: str
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class NewCheckpoint:
    """A checkpoint, to be stored once under its `identifier`."""

    step: int
    identifier: str
    metrics: Mapping[str, Any]
    at: datetime


def add_job(
    connection: Connection,
    project: ProjectView,
    plan: Preflight,
    *,
    parent_id: int | None,
    annotator: str,
    in_app: bool,
) -> int:
    """Make a training that nobody is at work on -> its id; needs a write transaction."""
    hashes = {each.split: each.sha256 for each in plan.files}
    return connection.execute(
        insert(TuningJob)
        .values(
            token=plan.token,
            project_id=project.id,
            dataset_id=plan.dataset_id,
            trainer=plan.trainer,
            base=plan.base,
            parent_id=parent_id,
            name=plan.name,
            base_url=plan.base_url,
            key_name=plan.key_name,
            hyperparameters=plan.hyperparameters.to_json() if plan.trainer == "openai" else {},
            preflight=plan.to_json(),
            training_sha256=hashes.get("train"),
            validation_sha256=hashes.get("validation"),
            cost_estimated=plan.cost,
            cost=0.0 if plan.trainer == "local" else None,
            in_app=in_app,
            created_by=annotator_id(connection, annotator),
        )
        .returning(TuningJob.id)
    ).scalar_one()


def take_job(connection: Connection, project: ProjectView, job_id: int, worker: str, *, resume: bool = True) -> JobView:
    """Take a training up; needs a write transaction. What was ended for a reason that may be mended begins again.

    Raises NotFoundError, ConflictError when it is over, or somebody else is at work on it, and, unless this is to
    `resume` it, when it was given up.
    """
    row = connection.execute(
        select(TuningJob.worker, TuningJob.beat_at).where(TuningJob.id == job_id).with_for_update()
    ).one_or_none()
    job = load_job(connection, project, job_id)
    if row is not None and is_alive(row.worker, row.beat_at):
        host, process, _ = row.worker.rsplit(":", 2)
        msg = f"Tuning job {job_id} is in the hands of process {process} on {host}: cancel it, or wait."
        raise ConflictError(msg)
    if job.is_over and not (resume and job.can_resume):
        msg = f"Tuning job {job_id} is {job.status}: begin a new one."
        raise ConflictError(msg)
    again = _again(job) if job.is_over or job.trainer == "local" else {}
    connection.execute(
        update(TuningJob)
        .where(TuningJob.id == job_id)
        .values(worker=worker, beat_at=utc_now(), not_before=None, **again)
    )
    return load_job(connection, project, job_id)


def hold_ended_job(connection: Connection, project: ProjectView, job_id: int, worker: str) -> JobView:
    """Hold a training that has ended at a server, so that nobody resumes it meanwhile; needs a write transaction.

    Raises NotFoundError, ConflictError when it has not ended, nothing of it was uploaded, or somebody is at work on it.
    """
    row = connection.execute(
        select(TuningJob.worker, TuningJob.beat_at).where(TuningJob.id == job_id).with_for_update()
    ).one_or_none()
    job = load_job(connection, project, job_id)
    if job.trainer == "local":
        msg = f"Tuning job {job_id} was done on this machine: nothing of it was uploaded."
        raise ConflictError(msg)
    if not job.is_over:
        msg = (
            f"Tuning job {job_id} is {job.status} and may still need its files at {job.destination}: delete them when "
            "it has ended, or cancel it first."
        )
        raise ConflictError(msg)
    if row is not None and is_alive(row.worker, row.beat_at):
        host, process, _ = row.worker.rsplit(":", 2)
        msg = (
            f"The files of tuning job {job_id} are being deleted by process {process} on {host}: wait, and look again."
        )
        raise ConflictError(msg)
    connection.execute(update(TuningJob).where(TuningJob.id == job_id).values(worker=worker, beat_at=utc_now()))
    return job


def beat_job(connection: Connection, job_id: int, worker: str) -> str | None:
    """Give a sign of life -> the wish of a person. Raises ConflictError when somebody else has the training."""
    kept = connection.execute(
        update(TuningJob)
        .where(TuningJob.id == job_id, TuningJob.worker == worker)
        .values(beat_at=utc_now())
        .returning(TuningJob.wish)
    ).one_or_none()
    if kept is None:
        raise ConflictError(_taken(job_id))
    wish: str | None = kept.wish
    return wish


def note_job(connection: Connection, job_id: int, worker: str, **values: Any) -> None:
    """Write down something of a training. Raises ConflictError when somebody else has it, or ended it; nothing then."""
    changed = connection.execute(
        update(TuningJob)
        .where(_held(job_id, worker), TuningJob.status.not_in(OVER))
        .values(beat_at=utc_now(), **values)
        .returning(TuningJob.id)
    ).one_or_none()
    if changed is None:
        raise ConflictError(_taken(job_id))


def end_job(connection: Connection, job_id: int, worker: str, status: str, error: str = "", **values: Any) -> None:
    """End a training and let go of it. Raises ConflictError when somebody else has it: nothing is written then."""
    note_job(connection, job_id, worker, status=status, error=error, wish=None, finished_at=utc_now(), **values)
    let_go(connection, job_id, worker)


def let_go(connection: Connection, job_id: int, worker: str, *, trouble: str = "") -> None:
    """Leave a training to whoever takes it up next; after `trouble`, in a while. Nothing happens when it was taken."""
    put_off = {"doing": trouble, "not_before": utc_now() + TRY_AGAIN} if trouble else {}
    connection.execute(update(TuningJob).where(_held(job_id, worker)).values(worker="", beat_at=None, **put_off))


def give_up_job(connection: Connection, job_id: int, error: str) -> None:
    """Say why a training cannot be carried out; nothing happens when somebody is at work on it, or it is over."""
    row = connection.execute(
        select(TuningJob.worker, TuningJob.beat_at)
        .where(TuningJob.id == job_id, TuningJob.status.not_in(OVER))
        .with_for_update()
    ).one_or_none()
    if row is not None and not is_alive(row.worker, row.beat_at):
        tell(connection, job_id, error, "error")
        end_job(connection, job_id, row.worker, "failed", error, doing="Given up")


def add_events(connection: Connection, job_id: int, events: Sequence[NewEvent]) -> int:
    """Store what happened, each once -> how many are new."""
    known = known_events(connection, job_id)
    new = {each.remote_id: each for each in events if each.remote_id not in known}
    if new:
        connection.execute(
            insert(TuningEvent),
            [
                {
                    "job_id": job_id,
                    "remote_id": each.remote_id,
                    "at": each.at,
                    "level": each.level,
                    "message": each.message,
                    "metrics": dict(each.metrics),
                }
                for each in sorted(new.values(), key=lambda event: event.at)
            ],
        )
    return len(new)


def known_events(connection: Connection, job_id: int) -> Collection[str]:
    """The trainer's names of what is stored."""
    return set(connection.execute(select(TuningEvent.remote_id).where(TuningEvent.job_id == job_id)).scalars())


def tell(connection: Connection, job_id: int, message: str, level: str = "info") -> None:
    """Add an event of our own."""
    add_events(connection, job_id, [NewEvent(f"maploop-{uuid4().hex}", utc_now(), level, message, {})])


def add_checkpoints(connection: Connection, job_id: int, checkpoints: Sequence[NewCheckpoint]) -> None:
    """Store checkpoints, each once; metrics that are told later are put in."""
    query = select(TuningCheckpoint.identifier, TuningCheckpoint.metrics).where(TuningCheckpoint.job_id == job_id)
    known = {row.identifier: row.metrics for row in connection.execute(query)}
    for each in checkpoints:
        if each.identifier not in known:
            connection.execute(
                insert(TuningCheckpoint).values(
                    job_id=job_id,
                    step=each.step,
                    identifier=each.identifier,
                    metrics=dict(each.metrics),
                    at=each.at,
                )
            )
        elif known[each.identifier] != each.metrics:
            connection.execute(
                update(TuningCheckpoint)
                .where(TuningCheckpoint.job_id == job_id, TuningCheckpoint.identifier == each.identifier)
                .values(metrics=dict(each.metrics))
            )
        known[each.identifier] = dict(each.metrics)


def pause_job(connection: Connection, project: ProjectView, job_id: int) -> JobView:
    """Ask for a training to be paused at the server. Raises NotFoundError, ConflictError when that cannot be."""
    job = load_job(connection, project, job_id)
    if job.trainer == "local":
        msg = f"Tuning job {job_id} is done on this machine, which takes a minute or two: wait, or cancel it."
        raise ConflictError(msg)
    if not job.can_pause:
        msg = f"Tuning job {job_id} is {job.status}: only a running one can be paused."
        raise ConflictError(msg)
    return _wish(connection, project, job_id, "pause")


def resume_job(connection: Connection, project: ProjectView, job_id: int, *, in_app: bool = False) -> JobView:
    """Ask for a training to go on, whether it was paused, left, or given up; `in_app`: the app is to take it up.

    Raises NotFoundError, ConflictError when that cannot be.
    """
    job = load_job(connection, project, job_id)
    if not job.can_resume:
        what = "begin a new one" if job.is_over else "it is going on already"
        msg = f"Tuning job {job_id} is {job.status}: {what}."
        raise ConflictError(msg)
    again = _again(job) if job.status == "failed" else {}
    connection.execute(
        update(TuningJob)
        .where(TuningJob.id == job_id)
        .values(not_before=None, in_app=TuningJob.in_app.is_(True) | in_app, **again)
    )
    if job.status == "paused":
        return _wish(connection, project, job_id, "resume")
    return load_job(connection, project, job_id)


def cancel_job(connection: Connection, project: ProjectView, job_id: int) -> JobView:
    """Ask for a training to end without a model. One that never left this machine, and is in nobody's hands, ends now.

    Raises NotFoundError, ConflictError when it is over.
    """
    job = load_job(connection, project, job_id)
    if not job.can_cancel:
        msg = f"Tuning job {job_id} is {job.status} already."
        raise ConflictError(msg)
    row = connection.execute(
        select(TuningJob.asked_at, TuningJob.worker, TuningJob.beat_at).where(TuningJob.id == job_id).with_for_update()
    ).one()
    if not is_alive(row.worker, row.beat_at) and row.asked_at is None and job.remote_id is None:
        connection.execute(
            update(TuningJob).where(TuningJob.id == job_id).values(status="cancelled", wish=None, finished_at=utc_now())
        )
        return load_job(connection, project, job_id)
    return _wish(connection, project, job_id, "cancel")


@dataclass(frozen=True)
class WaitingJob:
    """A training that asks for somebody to take it up."""

    project_id: int
    job_id: int
    trainer: str


def waiting_jobs(connection: Connection) -> list[WaitingJob]:
    """What the app can take up, the oldest first: what it began itself, and whatever goes on at a server."""
    rows = connection.execute(
        select(
            TuningJob.id,
            TuningJob.project_id,
            TuningJob.trainer,
            TuningJob.remote_id,
            TuningJob.asked_at,
            TuningJob.in_app,
            TuningJob.worker,
            TuningJob.beat_at,
            TuningJob.not_before,
        )
        .where(TuningJob.status.not_in(OVER))
        .order_by(TuningJob.id)
    ).all()
    now = utc_now()
    return [
        WaitingJob(row.project_id, row.id, row.trainer)
        for row in rows
        if (row.in_app or row.remote_id is not None or row.asked_at is not None)
        and not is_alive(row.worker, row.beat_at)
        and (row.not_before is None or row.not_before <= now)
    ]


def _wish(connection: Connection, project: ProjectView, job_id: int, wish: Wish) -> JobView:
    changed = connection.execute(
        update(TuningJob)
        .where(TuningJob.id == job_id, TuningJob.status.not_in(OVER))
        .values(wish=wish, not_before=None)
        .returning(TuningJob.id)
    ).one_or_none()
    if changed is None:
        msg = f"There is no tuning job {job_id} of {project.name!r} that is under way."
        raise NotFoundError(msg)
    return load_job(connection, project, job_id)


def _again(job: JobView) -> dict[str, Any]:
    """What is written into a training that begins again: one that was given up, and any on this machine."""
    return {
        "status": "running" if job.remote_id else "preparing",
        "share": 0.0,
        "doing": "",
        "error": "",
        "finished_at": None,
    }


def _held(job_id: int, worker: str) -> ColumnElement[bool]:
    return (TuningJob.id == job_id) & (TuningJob.worker == worker)


def _taken(job_id: int) -> str:
    return f"Tuning job {job_id} was taken up or ended by somebody else: nothing more is done here."
