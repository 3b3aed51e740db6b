"""The fine-tuning routes of a server, with its errors told in Maploop's: those that pass by, and those that do not."""

import contextlib
import math
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import openai
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob
from openai.types.fine_tuning.supervised_hyperparameters_param import SupervisedHyperparametersParam

from maploop.errors import ConflictError, InputError, MaploopError
from maploop.predict.chat.pace import seconds_to_rest
from maploop.predict.chat.said import clean
from maploop.tune.destination import destination_named
from maploop.tune.explain import ABOUT_THE_BASE, OUT_OF_MONEY, why_refused
from maploop.tune.records import NewCheckpoint, NewEvent

if TYPE_CHECKING:
    from maploop.tune.plan import Hyperparameters

PAGE: Final = 100
UPLOAD_SECONDS: Final = 3600.0
MARK: Final = "maploop_job"  # among a job's metadata: by this it is found again
MAX_SUFFIX: Final = 64
_PASSING_STATUS: Final = frozenset({408, 425, 429})
_FILE_UNDER_WAY: Final = ("pending", "running", "uploading", "notRunning")


class ServerBusyError(ConflictError):
    """The server has had enough, fails, or is away: what was asked may be asked again after `seconds`."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class ServerRefusedError(InputError):
    """The server will not do it, however often it is asked; `status` is of HTTP."""

    def __init__(self, message: str, status: int, code: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Remote:
    """One server. Every method raises ServerBusyError and ServerRefusedError."""

    def __init__(self, client: openai.OpenAI, base_url: str, base: str) -> None:
        self._client = client
        self._once = client.with_options(max_retries=0)  # what costs money is never repeated behind our back
        self._base_url = base_url
        self._base = base

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Vendors' errors stop here: they leave as ServerBusyError or ServerRefusedError, saying `what` was asked."""
        where = destination_named(self._base_url)
        try:
            yield
            return
        except openai.APIConnectionError as error:  # time-outs are among them
            trouble: MaploopError = ServerBusyError(f"{where} does not answer ({type(error).__name__}).")
        except openai.APIStatusError as error:
            status, code, said = error.status_code, str(error.code) if error.code else None, self._said(error)
            if code not in OUT_OF_MONEY and (status in _PASSING_STATUS or status >= 500):
                rest = seconds_to_rest(error.response.headers, datetime.now(UTC))
                trouble = ServerBusyError(f"{where} is busy or failing (HTTP {status}: {said}).", rest)
            else:
                reason = why_refused(where, what, self._base, status, code, said)
                trouble = ServerRefusedError(reason, status, code)
        except (openai.APIError, ValueError):  # a body that is none
            trouble = ServerBusyError(f"{where} answers what nobody can read.")
        raise trouble  # outside of the handler: the vendor's error would show what it was sent

    def _said(self, error: openai.APIStatusError) -> str:
        """What the server said, as one line without the key, which some repeat."""
        body = error.body
        said = str((body.get("message") if isinstance(body, Mapping) else None) or error.message)
        return one_line(said, key=self._client.api_key)

    def shutdown_date(self) -> str | None:
        """The day the base shuts down, as the server writes it; None where it says none."""
        with self._told(ABOUT_THE_BASE):
            found = self._client.models.retrieve(self._base)
        given = getattr(found, "shutdown_date", None)
        return str(given) if given else None

    def find_file(self, sha256: str, size: int) -> str | None:
        """The id of a file that was uploaded before: it bears its hash in its name."""
        with self._told("list the files"):
            for each in self._client.files.list(purpose="fine-tune"):
                if each.filename == file_name(sha256) and each.bytes == size and each.status != "error":
                    return each.id
        return None

    def has_file(self, file_id: str) -> bool:
        """Whether a file is still there, and can be used."""
        file = self._file(file_id)
        return file is not None and file.status != "error"

    def _is_known(self, file_id: str) -> bool:
        return self._file(file_id) is not None

    def _file(self, file_id: str) -> FileObject | None:
        """A file as the server tells of it, None when there is none."""
        try:
            with self._told("find a file"):
                return self._client.files.retrieve(file_id)
        except ServerRefusedError as error:
            if error.status == 404:
                return None
            raise

    def files_named(self, names: Collection[str]) -> list[str]:
        """The ids of all training files that are called so, whatever became of them."""
        with self._told("list the files"):
            return [each.id for each in self._client.files.list(purpose="fine-tune") if each.filename in names]

    def delete_file(self, file_id: str) -> bool:
        """Delete a file -> whether it was there; False when it is gone already."""
        try:
            with self._told("delete a file"):
                self._client.files.delete(file_id)
        except ServerRefusedError as error:
            if error.status != 404 or self._is_known(file_id):  # a server without that route answers 404 too
                raise
            return False
        return True

    def upload(self, path: Path, sha256: str) -> str:
        """Send a training file -> its id."""
        with path.open("rb") as file, self._told(f"take {path.name}"):
            content: IO[bytes] = file
            found = self._once.files.create(
                file=(file_name(sha256), content, "application/jsonl"), purpose="fine-tune", timeout=UPLOAD_SECONDS
            )
        return found.id

    def file_is_ready(self, file_id: str) -> bool:
        """Whether a file can be used; some servers look through it first. Raises InputError when it did not pass."""
        with self._told("find a file"):
            file: FileObject = self._client.files.retrieve(file_id)
        if file.status == "error":
            reason = one_line(str(getattr(file, "status_details", None) or "it gives no reason"))
            msg = f"{destination_named(self._base_url)} does not take the file: {reason}."
            raise InputError(msg)
        return str(file.status) not in _FILE_UNDER_WAY

    def create_job(
        self,
        token: str,
        name: str,
        training_file: str,
        validation_file: str | None,
        hyperparameters: "Hyperparameters",
        dataset_id: str,
    ) -> str:
        """Ask for a training -> the server's id of it. Once a ServerBusyError was raised, it may exist or not."""
        chosen: SupervisedHyperparametersParam = {"n_epochs": hyperparameters.epochs}
        if hyperparameters.batch_size is not None:
            chosen["batch_size"] = hyperparameters.batch_size
        if hyperparameters.learning_rate_multiplier is not None:
            chosen["learning_rate_multiplier"] = hyperparameters.learning_rate_multiplier
        with self._told("train"):
            job = self._once.fine_tuning.jobs.create(
                model=self._base,
                training_file=training_file,
                validation_file=openai.omit if validation_file is None else validation_file,
                method={"type": "supervised", "supervised": {"hyperparameters": chosen}},
                suffix=suffix_of(name) or openai.omit,
                seed=openai.omit if hyperparameters.seed is None else hyperparameters.seed,
                metadata={MARK: token, "maploop_dataset": dataset_id},
            )
        return job.id

    def find_job(self, token: str) -> str | None:
        """The server's id of the training that was asked for with a token, None when there is none."""
        with self._told("list the trainings"):
            for each in self._client.fine_tuning.jobs.list(limit=PAGE):  # not all servers filter by metadata
                if (each.metadata or {}).get(MARK) == token:
                    return each.id
        return None

    def job(self, remote_id: str) -> FineTuningJob:
        """A training as it is now."""
        with self._told("tell about the training"):
            return self._client.fine_tuning.jobs.retrieve(remote_id)

    def ask(self, remote_id: str, wish: str) -> None:
        """Pause, resume or cancel a training."""
        jobs = self._client.fine_tuning.jobs
        with self._told(f"{wish} the training"):
            {"pause": jobs.pause, "resume": jobs.resume, "cancel": jobs.cancel}[wish](remote_id)

    def events(self, remote_id: str, known: frozenset[str]) -> list[NewEvent]:
        """What happened in a training and is not among the known, in no order."""
        found: list[NewEvent] = []
        with self._told("tell about the training"):
            for page in self._client.fine_tuning.jobs.list_events(remote_id, limit=PAGE).iter_pages():
                times = [each.created_at for each in page.data]
                for each in page.data:
                    if each.id not in known:
                        found.append(_event(each))
                newest_first = len(times) > 1 and times[0] > times[-1]
                if newest_first and any(each.id in known for each in page.data):
                    break  # what follows is older still
        return found

    def checkpoints(self, remote_id: str) -> list[NewCheckpoint]:
        """The checkpoints that a training has now."""
        with self._told("tell the checkpoints"):
            return [
                NewCheckpoint(
                    each.step_number,
                    each.fine_tuned_model_checkpoint,
                    _numbers(each.metrics.to_dict() if each.metrics else {}),
                    _time(each.created_at),
                )
                for each in self._client.fine_tuning.jobs.checkpoints.list(remote_id, limit=PAGE)
            ]


def file_name(sha256: str) -> str:
    """What a training file is called at the server: its content's hash, by which it is found again."""
    return f"maploop-{sha256}.jsonl"


def suffix_of(name: str) -> str:
    """A model's name as servers take it into the new model's: letters, digits and hyphens."""
    plain = "".join(each if each.isascii() and each.isalnum() else "-" for each in name)
    return "-".join(part for part in plain.split("-") if part)[:MAX_SUFFIX].strip("-")


def one_line(text: str, most: int = 200, *, key: str = "") -> str:
    """What a server said, as one printable line of bounded length, without keys and without a full stop."""
    return clean(text, most, key=key).rstrip(".")


def _event(each: Any) -> NewEvent:
    data = each.data if isinstance(each.data, Mapping) else {}
    level = str(each.level or "info")[:8]
    return NewEvent(each.id, _time(each.created_at), level, one_line(str(each.message), 500), _numbers(data))


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """The figures among some values: what is shown as a curve, and nothing that a server may add beside."""
    return {
        str(name)[:64]: value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _time(seconds: float | None) -> datetime:
    return datetime.fromtimestamp(seconds or 0, UTC)
