"""Training files at a server: found by their ids and by their hashes, deleted, and recorded as deleted.

Each file is recorded as soon as the server has answered. So a process may be killed anywhere: the next one finds the
file gone, and records that.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, or_, select, update

from db.models import TuningJob
from maploop.database import Database
from maploop.errors import ConflictError, MaploopError
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.runs import BEAT_SECONDS, new_worker
from maploop.project import ProjectView
from maploop.settings import get_settings
from maploop.tune.jobs import OVER, JobView, load_job
from maploop.tune.lease import TuningPulse
from maploop.tune.plan import Clients
from maploop.tune.records import hold_ended_job, let_go, tell
from maploop.tune.remote import Remote, file_name

AS_CONFIRMED = "as was confirmed when the training began"


@dataclass(frozen=True)
class DeletedFiles:
    """The server's ids of the files that were deleted, and of those that were gone already."""

    destination: str
    deleted: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {"destination": self.destination, "deleted": self.deleted, "gone": self.gone}

    def to_text(self) -> str:
        """One sentence for people."""
        if not self.deleted and not self.gone:
            return f"No file of this training is at {self.destination}."
        told = [f"Deleted at {self.destination}: {', '.join(self.deleted)}."] if self.deleted else []
        told += [f"Gone from {self.destination} already: {', '.join(self.gone)}."] if self.gone else []
        return " ".join(told)


def delete_files(
    database: Database,
    project: ProjectView,
    job_id: int,
    clients: Clients | None = None,
    *,
    annotator: str | None = None,
) -> DeletedFiles:
    """Delete the files of an ended training at its server; deleting them twice is no error.

    Raises NotFoundError, ConflictError while this or another training needs the files, nothing was uploaded, or
    somebody is at work on the training, ServerBusyError, ServerRefusedError and InputError when the server cannot be
    asked: files that are left can then be deleted later.
    """
    worker = new_worker()
    with database.write() as connection:
        job = hold_ended_job(connection, project, job_id, worker)
    with TuningPulse(database, job_id, worker, BEAT_SECONDS):
        try:
            return delete_at(database, job, _remote(job, clients), f"by {annotator or get_settings().user}")
        finally:
            with database.write() as connection:
                let_go(connection, job_id, worker)


def delete_when_asked(database: Database, project: ProjectView, job_id: int, clients: Clients | None = None) -> None:
    """Delete the files of an ended training at its server when that was asked for at its beginning.

    An error becomes an event of the training: the files can be deleted later.
    """
    with database.read() as connection:
        job = load_job(connection, project, job_id)
    if not (job.is_over and job.delete_files):
        return
    try:
        delete_files(database, project, job_id, clients)
    except MaploopError as error:
        say_left(database, job, error)


def delete_at(database: Database, job: JobView, remote: Remote, why: str) -> DeletedFiles:
    """Delete the files of a training that the caller holds, and say `why` in its events.

    Files are looked up by name too: a process that was killed after an upload left no id. Raises ConflictError when
    another training that is under way needs them, ServerBusyError, ServerRefusedError.
    """
    with database.read() as connection:
        _check_unneeded(connection, job)
        hashes = _hashes(connection, job.id)
    noted = [each for each in (job.training_file_id, job.validation_file_id) if each]
    found = DeletedFiles(job.destination)
    for file_id in dict.fromkeys([*noted, *remote.files_named({file_name(each) for each in hashes})]):
        was_there = remote.delete_file(file_id)
        (found.deleted if was_there else found.gone).append(file_id)
        what = f"Deleted {file_id} at" if was_there else f"{file_id} was gone already from"
        with database.write() as connection:
            _forget(connection, job, file_id)
            tell(connection, job.id, f"{what} {job.destination}, {why}.")
    return found


def say_left(database: Database, job: JobView, error: MaploopError) -> None:
    """Record that files may be left at the server."""
    left = f"Files of this training may be left at {job.destination}: {error}"
    with database.write() as connection:
        tell(connection, job.id, f"{left} Delete them later: maploop tuning delete-files.", "warn")


def _remote(job: JobView, clients: Clients | None) -> Remote:
    from maploop.tune.clients import client_of  # noqa: PLC0415  the SDK takes a second to import

    parameters = ChatParameters.of(job.preflight.get("parameters", {}))
    return Remote((clients or client_of)(parameters), job.base_url, job.base)


def _check_unneeded(connection: Connection, job: JobView) -> None:
    """Raises ConflictError when another training that is under way at the same server uses the same files."""
    hashes = _hashes(connection, job.id)
    other = connection.execute(
        select(TuningJob.id, TuningJob.name)
        .where(
            TuningJob.id != job.id,
            TuningJob.trainer == "openai",
            TuningJob.base_url == job.base_url,
            TuningJob.status.not_in(OVER),
            or_(TuningJob.training_sha256.in_(hashes), TuningJob.validation_sha256.in_(hashes)),
        )
        .order_by(TuningJob.id)
    ).first()
    if other is not None:
        msg = (
            f"Tuning job {other.id}, which makes {other.name!r}, trains on the same files at {job.destination}: "
            f"delete the files of tuning job {job.id} when it has ended."
        )
        raise ConflictError(msg)


def _hashes(connection: Connection, job_id: int) -> list[str]:
    query = select(TuningJob.training_sha256, TuningJob.validation_sha256).where(TuningJob.id == job_id)
    return [each for each in connection.execute(query).one() if each]


def _forget(connection: Connection, job: JobView, file_id: str) -> None:
    """Let no training point at a file that is gone from the server; the same file may have served several."""
    for column in (TuningJob.training_file_id, TuningJob.validation_file_id):
        connection.execute(
            update(TuningJob).where(column == file_id, TuningJob.base_url == job.base_url).values({column: None})
        )
