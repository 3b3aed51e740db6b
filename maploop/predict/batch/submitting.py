"""From tiles to batches at work. Each step is written down before the next is taken, and looked up before it is taken
again: file on disk, batch in the database, file at the server, batch at the server.
"""

from collections import deque
from dataclasses import replace
from typing import Final, TypeVar

from maploop.errors import ConflictError, LicenceError, MaploopError, NotFoundError
from maploop.imagery.tilemath import Tile
from maploop.predict.batch.files import Draft, Limits, path_of, request_line
from maploop.predict.batch.patience import Patience
from maploop.predict.batch.questions import Questions
from maploop.predict.batch.records import BatchView, Records, new_name
from maploop.predict.batch.remote import RemoteBatch, RemoteBatches
from maploop.predict.chat.budget import Budget
from maploop.predict.chat.server import Trouble
from maploop.predict.predictor import Assignment, Failure, Outcome

T = TypeVar("T")

_GONE: Final = "Its file was lost before the server had it."
_CANCELLED: Final = "The run was cancelled before it was submitted."


class Submitter:
    """Submits the tiles of one run. `reserved` is what the budget has set aside for tiles at work."""

    def __init__(
        self,
        records: Records,
        remote: RemoteBatches,
        questions: Questions,
        budget: Budget,
        limits: Limits,
        patience: Patience,
        assignment: Assignment,
    ) -> None:
        self._records = records
        self._remote = remote
        self._questions = questions
        self._budget = budget
        self._limits = limits
        self._patience = patience
        self._assignment = assignment
        self._carried: tuple[Tile, bytes] | None = None  # a line that the last file had no room for
        self.reserved: dict[Tile, float] = {}

    def submit(self, waiting: deque[Tile]) -> tuple[BatchView | None, list[Outcome]]:
        """Take tiles from `waiting` for one batch and submit it -> the batch, and tiles that cannot be asked about.

        None when there was nothing to submit, nothing left of the budget, or the run was stopped. Raises MaploopError;
        LicenceError when pictures of the batch may not be sent any more by the time that its file is whole.
        """
        failed: list[Outcome] = []
        name = new_name(self._records.run_id)
        with Draft(name, self._limits) as draft:
            self._fill(draft, waiting, failed)
            if not draft.tiles or self._assignment.stopped():
                for tile in draft.tiles:
                    self.give_back(tile)
                waiting.extendleft(reversed(draft.tiles))
                return None, failed
            draft.finish()
        batch = self._records.write_down(name, draft.tiles, draft.size)
        if reason := self._reason_to_stay(batch):
            self._drop(batch, reason)
            msg = f"{reason} Resume the run to go on without them; begin a new one if they are its examples."
            raise LicenceError(msg)
        return self._create(self._upload(batch, unsure=False), unsure=False), failed

    def take_at_most(self, requests: int) -> None:
        """Make batches of so many requests, from now on."""
        self._limits = replace(self._limits, requests=max(1, min(requests, self._limits.requests)))

    def go_on(self, batch: BatchView) -> BatchView | None:
        """Go on with a batch that another process began -> the batch, None when it came to nothing.

        Raises MaploopError.
        """
        unwanted = _CANCELLED if self._assignment.stopped() else self._reason_to_stay(batch)
        if batch.status == "written":
            if unwanted:
                sent = self._patience.insist(lambda: self._remote.find_file(batch))  # a kill may have hidden it
                if isinstance(sent, str):
                    batch = self._uploaded(batch, sent)
                self._drop(batch, unwanted)
                self.delete_files(batch)
                return None
            if not path_of(batch.name).exists():
                found = self._settled(batch, self._patience.insist(lambda: self._remote.find_file(batch)))
                if found is None:
                    self._drop(batch, _GONE)
                    return None
                batch = self._uploaded(batch, found)
            else:
                batch = self._upload(batch, unsure=True)
        if batch.status == "uploaded":
            if unwanted:
                known = self._settled(batch, self._patience.insist(lambda: self._remote.find(batch)))
                if known is None:
                    self._drop(batch, unwanted)
                    self.delete_files(batch)
                    return None
                return self._records.note_submitted(batch, known.id, known.status)
            batch = self._create(batch, unsure=True)
        return batch

    def delete_files(self, batch: BatchView, seen: RemoteBatch | None = None) -> None:
        """Delete the files of a closed batch at the server, and note it; what fails is left to `delete_files_left`."""
        made = (seen.output_file_id, seen.error_file_id) if seen else ()
        if self._remote.delete_files([batch.input_file_id, *made]):
            self._records.note_files_deleted(batch)

    def delete_files_left(self) -> None:
        """Delete what kills and failures left at the server of closed batches of this model; never raises for it."""
        for batch in self._records.batches_with_files():
            seen = None
            if batch.remote_id is not None:
                try:
                    found = self._remote.retrieve(batch)
                except NotFoundError:  # no batch, so that nothing tells of other files than its input
                    pass
                except MaploopError:
                    continue
                else:
                    if isinstance(found, Trouble):
                        continue
                    seen = found
            self.delete_files(batch, seen)

    def give_back(self, tile: Tile) -> None:
        """A tile was not asked about, or its request cost nothing."""
        self._budget.give_back(self.reserved.pop(tile, 0.0))

    def _fill(self, draft: Draft, waiting: deque[Tile], failed: list[Outcome]) -> None:
        while waiting and not self._assignment.stopped():
            if waiting[0] not in self.reserved:
                if (reserved := self._budget.reserve()) is None:
                    return
                self.reserved[waiting[0]] = reserved
            line = self._line(waiting[0])
            if isinstance(line, Failure):
                self.give_back(waiting[0])
                failed.append(Outcome(waiting.popleft(), failure=line))
            elif draft.fits(line):
                draft.add(waiting.popleft(), line)
            else:
                self._carried = waiting[0], line
                return

    def _line(self, tile: Tile) -> bytes | Failure:
        carried, self._carried = self._carried, None
        if carried is not None and carried[0] == tile:
            return carried[1]
        body = self._questions.body(tile, self._assignment)
        return body if isinstance(body, Failure) else request_line(self._records.run_id, tile, body)

    def _reason_to_stay(self, batch: BatchView) -> str:
        """Say why a batch may not be sent as it was written; nothing if it may."""
        reasons = self._records.reasons_to_stay(batch, self._questions.shots.examples)
        return f"Batch {batch.number} is not sent: {'; '.join(reasons)}." if reasons else ""

    def _upload(self, batch: BatchView, *, unsure: bool) -> BatchView:
        path = path_of(batch.name)
        answer = self._patience.insist(
            lambda: self._remote.upload(path, batch.name), lambda: self._remote.find_file(batch), unsure=unsure
        )
        return self._uploaded(batch, self._settled(batch, answer))

    def _uploaded(self, batch: BatchView, file_id: str) -> BatchView:
        batch = self._records.note_uploaded(batch, file_id)
        path_of(batch.name).unlink(missing_ok=True)
        return batch

    def _create(self, batch: BatchView, *, unsure: bool) -> BatchView:
        answer = self._patience.insist(
            lambda: self._remote.create(batch), lambda: self._remote.find(batch), unsure=unsure
        )
        made = self._settled(batch, answer)
        return self._records.note_submitted(batch, made.id, made.status)

    def _settled(self, batch: BatchView, answer: T | Trouble) -> T:
        """The answer; when it is a refusal for good, the batch is dropped. Raises ConflictError."""
        if isinstance(answer, Trouble):
            self._drop(batch, answer.failure.message)
            self.delete_files(batch)
            raise ConflictError(answer.failure.message)
        return answer

    def _drop(self, batch: BatchView, error: str) -> None:
        """Its tiles are free."""
        self._records.drop(batch, error)
        path_of(batch.name).unlink(missing_ok=True)
