"""A server's files and batches, as far as predicting needs them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import openai

from maploop.errors import MaploopError, NotFoundError
from maploop.predict.batch.files import ENDPOINT
from maploop.predict.batch.records import BatchView
from maploop.predict.chat.pace import Clock
from maploop.predict.chat.said import clean
from maploop.predict.chat.server import ChatServer, Trouble
from maploop.predict.predictor import Failure

T = TypeVar("T")

MARK: Final = "maploop_batch"  # the key of a batch's name in its metadata
OVER: Final = frozenset({"completed", "failed", "expired", "cancelled"})
_LOOKED_THROUGH: Final = 5_000  # files or batches, newest first, before one is taken to be none of them


@dataclass(frozen=True)
class Problem:
    """Why a server does not take a file; `line`, from 1, where it is about one."""

    code: str
    message: str
    line: int | None


@dataclass(frozen=True)
class RemoteBatch:
    """A batch as the server tells of it. `seconds` it was worked on, 0 where that is not said."""

    id: str
    status: str
    completed: int
    failed: int
    output_file_id: str | None
    error_file_id: str | None
    problems: tuple[Problem, ...]
    seconds: float

    @property
    def is_over(self) -> bool:
        """Whether nothing will come after this."""
        return self.status in OVER


class RemoteBatches:
    """Each call answers what it is asked for, or a Trouble. Raises MaploopError when no call can succeed."""

    def __init__(self, server: ChatServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    @property
    def host(self) -> str:
        """Who is asked, for people."""
        return self._server.host

    def upload(self, path: Path, name: str) -> str | Trouble:
        """Upload a file -> its id."""

        def send(client: openai.OpenAI) -> str | Trouble:
            with path.open("rb") as file:
                return _id(client.files.create(file=(f"{name}.jsonl", file), purpose="batch"))

        return self._ask(send, "files for batches")

    def find_file(self, batch: BatchView) -> str | Trouble | None:
        """The id of the file of a batch that was uploaded, whole, without anybody noting it."""

        def send(client: openai.OpenAI) -> str | None:
            for each in islice(client.files.list(purpose="batch"), _LOOKED_THROUGH):
                if each.filename == f"{batch.name}.jsonl" and each.bytes == batch.size:
                    return each.id
            return None

        return self._ask(send, "files for batches")

    def create(self, batch: BatchView) -> RemoteBatch | Trouble:
        """Have a batch begun with a file that was uploaded."""

        def send(client: openai.OpenAI) -> RemoteBatch | Trouble:
            return _batch(
                client.batches.create(
                    input_file_id=str(batch.input_file_id),
                    endpoint=ENDPOINT,
                    completion_window="24h",
                    metadata={MARK: batch.name},
                )
            )

        return self._ask(send, "batches")

    def find(self, batch: BatchView) -> RemoteBatch | Trouble | None:
        """The batch that was begun without anybody noting it: it has the file, which no other has."""

        def send(client: openai.OpenAI) -> RemoteBatch | None:
            for each in islice(client.batches.list(limit=100), _LOOKED_THROUGH):
                if each.input_file_id == batch.input_file_id or (each.metadata or {}).get(MARK) == batch.name:
                    found = _batch(each)
                    return None if isinstance(found, Trouble) else found
            return None

        return self._ask(send, "batches")

    def retrieve(self, batch: BatchView) -> RemoteBatch | Trouble:
        """How far a batch is."""
        return self._ask(lambda client: _batch(client.batches.retrieve(_remote(batch))), f"batch {batch.remote_id}")

    def cancel(self, batch: BatchView) -> RemoteBatch | Trouble:
        """Have a batch end early; one that is over gives a Trouble."""
        return self._ask(lambda client: _batch(client.batches.cancel(_remote(batch))), f"batch {batch.remote_id}")

    def download(self, file_id: str, path: Path) -> Path | Trouble:
        """Write a file of the server's to `path`."""

        def send(client: openai.OpenAI) -> Path:
            path.parent.mkdir(parents=True, exist_ok=True)
            with client.files.with_streaming_response.content(file_id) as response, path.open("wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
            return path

        return self._ask(send, f"file {file_id}")

    def delete_files(self, ids: Iterable[str | None]) -> bool:
        """Delete files that nobody needs any more -> whether none of them is at the server now; never raises."""
        gone = [self._delete(each) for each in ids if each]  # all are tried
        return all(gone)

    def _delete(self, file_id: str) -> bool:
        what = f"file {file_id}"
        try:
            return not isinstance(self._ask(partial(_delete, file_id), what), Trouble)
        except NotFoundError:  # gone already, or the server cannot delete
            try:
                self._ask(partial(_retrieve, file_id), what)
            except NotFoundError:
                return True
            except MaploopError:
                return False
        except MaploopError:
            return False
        return False

    def _ask(self, send: Callable[[openai.OpenAI], T | Trouble], what: str) -> T | Trouble:
        return self._server.ask(send, what, self._clock.today())


def _delete(file_id: str, client: openai.OpenAI) -> None:
    client.files.delete(file_id)


def _retrieve(file_id: str, client: openai.OpenAI) -> None:
    client.files.retrieve(file_id)


def _remote(batch: BatchView) -> str:
    return str(batch.remote_id)


def _id(reply: object) -> str | Trouble:
    found = getattr(reply, "id", None)
    return found if isinstance(found, str) and found else _unreadable()


def _unreadable() -> Trouble:
    return Trouble(Failure("malformed", "The reply of the server is not what such servers reply."), again=True)


def _batch(reply: Any) -> RemoteBatch | Trouble:
    """Read a batch, whatever of it the server leaves out."""
    remote_id = _id(reply)
    if isinstance(remote_id, Trouble):
        return remote_id
    counts = getattr(reply, "request_counts", None)
    begun, ended = (getattr(reply, name, None) for name in ("in_progress_at", "completed_at"))
    listed = getattr(getattr(reply, "errors", None), "data", None) or ()
    return RemoteBatch(
        remote_id,
        str(getattr(reply, "status", "")),
        _number(counts, "completed"),
        _number(counts, "failed"),
        getattr(reply, "output_file_id", None) or None,
        getattr(reply, "error_file_id", None) or None,
        tuple(
            Problem(str(each.code or ""), clean(str(each.message or each.code or "")), getattr(each, "line", None))
            for each in listed
        ),
        float(max(0, ended - begun)) if isinstance(begun, int) and isinstance(ended, int) else 0.0,
    )


def _number(values: object, name: str) -> int:
    found = values.get(name) if isinstance(values, Mapping) else getattr(values, name, 0)
    return found if isinstance(found, int) else 0
