"""A training at a server, from its files to the new model: every step is found done, or done, and then written down.

So a process may be killed anywhere. Whoever takes the training up looks for the file and the order by marks that the
server keeps for us, before anything is sent again; and nothing that costs money is asked for without such a look.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from openai.types.fine_tuning import FineTuningJob
from sqlalchemy import Connection, select

from db.models import TuningJob
from db.types import utc_now
from maploop.database import Database
from maploop.dataset.datasets import DatasetView
from maploop.dataset.reading import Sources
from maploop.errors import ConflictError, InputError, LicenceError, MaploopError
from maploop.prices import load_prices
from maploop.project import ProjectView
from maploop.tune.explain import why_failed
from maploop.tune.files import check_rights, confirmed_file
from maploop.tune.jobs import JobView, load_job
from maploop.tune.plan import Hyperparameters
from maploop.tune.records import (
    add_checkpoints,
    add_events,
    beat_job,
    end_job,
    known_events,
    note_job,
    tell,
)
from maploop.tune.register import register_best
from maploop.tune.remote import Remote, ServerBusyError, ServerRefusedError, one_line
from maploop.tune.vendor_files import AS_CONFIRMED, delete_at, say_left

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 10.0
PAUSED_SECONDS: Final = 30.0
MOST_SECONDS: Final = 300.0  # between two attempts at a server that is away
SETTLE: Final = timedelta(seconds=30)  # after an order whose answer was lost, until a list is sure to hold it

_KEY_REFUSED: Final = (401, 403)

# Statuses are open strings, and Azure has words of its own.
_PAUSED: Final = ("paused", "pausing")
_ENDS: Final = {
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "deleted": "cancelled",
}


def pass_seconds(seconds: float) -> None:
    """Wait."""
    threading.Event().wait(seconds)


@dataclass
class HostedJob:
    """One training at a server, in the hands of `worker`.

    hear        is told a share from 0 to 1 and what is going on
    cancelled   True once nobody wants the model any more: it is cancelled at the server too
    wait, now   how time passes, and what time it is
    """

    database: Database
    project: ProjectView
    dataset: DatasetView
    job_id: int
    worker: str
    remote: Remote
    sources: Sources | None = None
    hear: Callable[[float, str], None] = lambda _share, _text: None
    cancelled: Callable[[], bool] = lambda: False
    wait: Callable[[float], None] = pass_seconds
    now: Callable[[], datetime] = utc_now
    _failures: int = field(default=0, init=False)
    _told: bool = field(default=False, init=False)  # that nobody wants it any more

    def carry_out(self) -> JobView:
        """See it through to its end.

        Raises ConflictError when somebody else has taken it up, ServerRefusedError when the key is no longer taken.
        """
        while True:
            try:
                over = self._step()
            except ServerBusyError as error:
                self._pass_time(self._put_off(error))
                continue
            except ServerRefusedError as error:
                if error.status in _KEY_REFUSED and self._load().remote_id is not None:
                    raise  # it goes on there, whatever becomes of the key
                return self._give_up(str(error))
            self._failures = 0
            job = self._load()
            self.hear(job.share, job.doing)
            if over:
                return job
            self._pass_time(PAUSED_SECONDS if job.status == "paused" else POLL_SECONDS)

    def look_once(self) -> None:
        """Meet a person's wish and write down how the training is, and no more: nothing is sent or ordered.

        Raises ServerBusyError, ServerRefusedError.
        """
        row, job = self._row(), self._load()
        remote_id = job.remote_id
        if remote_id is None and row.asked_at is not None:
            remote_id = self.remote.find_job(row.token)
        if remote_id is None:
            if row.asked_at is None or self.now() >= row.asked_at + SETTLE:
                self._is_unwanted()
            return
        self._note(remote_id=remote_id)
        if job.wish is not None:
            self._meet(remote_id, job.wish)
        self._look(remote_id)

    def _step(self) -> bool:
        """Bring it one look further -> whether it is over."""
        self._heed_cancelled()
        job = self._load()
        if job.remote_id is None and not self._order(job):
            return True
        job = self._load()
        assert job.remote_id is not None  # noqa: S101  just ordered
        if job.wish is not None:
            self._meet(job.remote_id, job.wish)
        return self._look(job.remote_id)

    # -- before there is a training at the server

    def _order(self, job: JobView) -> bool:
        """Files and order, as far as they are not there yet -> False when it was cancelled before it was ordered."""
        row = self._row()
        if row.asked_at is not None:
            self._say("Looking for the training at the server")
            if (found := self.remote.find_job(row.token)) is not None:
                self._note(remote_id=found, status="running", doing="Ordered")
                return True
            if (left := (row.asked_at + SETTLE - self.now()).total_seconds()) > 0:
                msg = f"{job.destination} did not say whether it took the order."
                raise ServerBusyError(msg, left)
        if self._is_unwanted():
            return False
        training = self._uploaded(job.training_file_id, "train", row.training_sha256)
        validation = (
            self._uploaded(job.validation_file_id, "validation", row.validation_sha256)
            if row.validation_sha256
            else None
        )
        if self._is_unwanted():
            return False
        self._check_rights(row.training_sha256, row.validation_sha256)
        self._note(asked_at=self.now(), doing="Asking for the training")  # from here on it may exist, whatever happens
        try:
            remote_id = self.remote.create_job(
                row.token, job.name, training, validation, Hyperparameters(**job.hyperparameters), job.dataset_id
            )
        except ServerRefusedError:
            self._note(asked_at=None)
            raise
        self._note(remote_id=remote_id, status="running", doing="Ordered")
        return True

    def _check_rights(self, training: str, validation: str | None) -> None:
        """Check that what was uploaded may still be there; otherwise delete it. Raises ConflictError, LicenceError."""
        hashes: dict[Literal["train", "validation"], str] = {"train": training}
        if validation:
            hashes["validation"] = validation
        job = self._load()
        try:
            check_rights(self.database, self.dataset, job.base_url, hashes, self.sources)
        except (ConflictError, LicenceError):
            try:
                delete_at(self.database, job, self.remote, "as rights in its pictures have changed")
            except MaploopError as error:
                say_left(self.database, job, error)
            raise

    def _uploaded(self, file_id: str | None, split: Literal["train", "validation"], sha256: str) -> str:
        """The server's id of a file that is there and ready; uploaded when it is nowhere."""
        if file_id is not None and not self.remote.has_file(file_id):
            file_id = None
        if file_id is None:
            path = confirmed_file(self.database, self.dataset, self._load().base_url, split, sha256, self.sources)
            size = path.stat().st_size
            file_id = self.remote.find_file(sha256, size)
            if file_id is None:
                self._say(f"Sending the {split} file ({size / 1e6:,.1f} MB)")
                file_id = self.remote.upload(path, sha256)
            column = "training_file_id" if split == "train" else "validation_file_id"
            self._note(**{column: file_id})
        if not self.remote.file_is_ready(file_id):
            msg = f"The server is still looking through the {split} file."
            raise ServerBusyError(msg, POLL_SECONDS)
        return file_id

    def _is_unwanted(self) -> bool:
        """End it when it was cancelled, which costs nothing as long as nothing was ordered."""
        self._heed_cancelled()
        with self.database.write() as connection:
            if beat_job(connection, self.job_id, self.worker) != "cancel":
                return False
        self._delete_files()
        with self.database.write() as connection:
            tell(connection, self.job_id, "Cancelled before anything was trained.")
            end_job(connection, self.job_id, self.worker, "cancelled", doing="Cancelled")
        return True

    # -- while there is one

    def _meet(self, remote_id: str, wish: str) -> None:
        """Do at the server what a person wished."""
        try:
            self.remote.ask(remote_id, wish)
        except ServerRefusedError as error:
            if error.status in _KEY_REFUSED:
                raise
            with self.database.write() as connection:
                tell(connection, self.job_id, str(error), "warn")
                note_job(connection, self.job_id, self.worker, wish=None)
        else:
            self._note(wish=None)

    def _look(self, remote_id: str) -> bool:
        """Write down how the training is now -> whether it is over."""
        found = self.remote.job(remote_id)
        remote_status = one_line(str(found.status), 40)
        ends = _ENDS.get(remote_status.lower())
        with self.database.read() as connection:
            known = frozenset(known_events(connection, self.job_id))
        events = self.remote.events(remote_id, known)
        checkpoints = self.remote.checkpoints(remote_id) if events or ends else []
        if ends:
            self._delete_files()  # before the end is written down: after a kill, the next look comes here again
        with self.database.write() as connection:
            add_events(connection, self.job_id, events)
            add_checkpoints(connection, self.job_id, checkpoints)
            job = load_job(connection, self.project, self.job_id)
            share = max([job.share, *(_share(each.metrics) for each in events)])
            latest = max(events, key=lambda each: each.at, default=None)
            note_job(
                connection,
                self.job_id,
                self.worker,
                remote_status=remote_status,
                status="paused" if remote_status.lower() in _PAUSED else "running",
                share=share,
                doing=latest.message if latest else job.doing or remote_status,
                trained_tokens=found.trained_tokens,
            )
            if ends:
                self._end(connection, job, found, ends)
        return ends is not None

    def _end(self, connection: Connection, job: JobView, found: FineTuningJob, status: str) -> None:
        """The end that the server tells of, in the transaction that writes down everything else it says."""
        cost = _cost(job, found.trained_tokens)
        values: dict[str, Any] = {"cost": cost}
        error = ""
        if status == "succeeded":  # an error that is there all the same, an empty one, is none
            figures = {"trained_tokens": found.trained_tokens, "cost": cost}
            try:
                model = register_best(connection, self.project, self.job_id, found.fine_tuned_model, figures)
            except InputError as failure:
                status, error = "failed", str(failure)
            else:
                values |= {"result": found.fine_tuned_model or model.identifier, "share": 1.0, "doing": "Done"}
        elif status == "failed":
            error = why_failed(
                job.destination,
                _text(getattr(found.error, "code", None)),
                _text(getattr(found.error, "message", None)),
            )
            values["doing"] = "Failed"
        else:
            values["doing"] = "Cancelled"
        end_job(connection, self.job_id, self.worker, status, error, **values)

    def _delete_files(self) -> None:
        """Delete the files at the server when that was confirmed; what fails is left for a person to ask again."""
        job = self._load()
        if not job.delete_files:
            return
        try:
            delete_at(self.database, job, self.remote, AS_CONFIRMED)
        except MaploopError as error:
            say_left(self.database, job, error)

    # -- rows, and time

    def _load(self) -> JobView:
        with self.database.read() as connection:
            return load_job(connection, self.project, self.job_id)

    def _row(self) -> Any:
        columns = (TuningJob.token, TuningJob.asked_at, TuningJob.training_sha256, TuningJob.validation_sha256)
        with self.database.read() as connection:
            return connection.execute(select(*columns).where(TuningJob.id == self.job_id)).one()

    def _note(self, **values: Any) -> None:
        with self.database.write() as connection:
            note_job(connection, self.job_id, self.worker, **values)

    def _say(self, text: str) -> None:
        self._note(doing=text)
        self.hear(self._load().share, text)

    def _heed_cancelled(self) -> None:
        if not self._told and self.cancelled():
            self._note(wish="cancel")
            self._told = True

    def _put_off(self, error: ServerBusyError) -> float:
        """How long to leave the server in peace."""
        seconds = min(MOST_SECONDS, 2.0**self._failures)
        self._failures += 1
        if error.seconds is not None:
            seconds = min(MOST_SECONDS, max(seconds if error.seconds == 0 else error.seconds, 0.1))
        logger.warning("tuning job %s: %s", self.job_id, error)
        self._say(f"{error} Trying again in {seconds:.0f} s.")
        return seconds

    def _give_up(self, error: str) -> JobView:
        self._delete_files()
        with self.database.write() as connection:
            tell(connection, self.job_id, error, "error")
            end_job(connection, self.job_id, self.worker, "failed", error, doing="Given up")
        return self._load()

    def _pass_time(self, seconds: float) -> None:
        """Wait until a person wishes something new."""
        wish = self._wish()
        while seconds > 0 and (self._told or not self.cancelled()):
            self.wait(min(1.0, seconds))
            seconds -= 1.0
            if self._wish() not in (None, wish):
                return

    def _wish(self) -> str | None:
        with self.database.read() as connection:
            return connection.execute(select(TuningJob.wish).where(TuningJob.id == self.job_id)).scalar_one()


def _cost(job: JobView, trained_tokens: int | None) -> float | None:
    """What the server will bill, USD: the tokens it counted at the training price; None where either is unknown."""
    name = job.preflight.get("parameters", {}).get("priced_as") or job.base
    price = load_prices().training_price(name)
    return None if price is None or trained_tokens is None else trained_tokens * price / 1e6


def _share(metrics: Any) -> float:
    step, total = metrics.get("step"), metrics.get("total_steps")
    return min(1.0, step / total) if step and total and total > 0 else 0.0


def _text(value: object) -> str:
    return one_line(str(value)) if value else ""
