"""The batch predictor: submits tiles in batches, looks in from time to time, and collects what came of them."""

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar

from maploop.database import Database
from maploop.errors import ConflictError, NotFoundError
from maploop.imagery.tilemath import Tile
from maploop.predict.batch.files import Limits, batches_folder, clear_files
from maploop.predict.batch.patience import Patience
from maploop.predict.batch.questions import Questions
from maploop.predict.batch.records import BatchView, Records
from maploop.predict.batch.remote import Problem, RemoteBatch, RemoteBatches
from maploop.predict.batch.results import Unanswered, not_reached, read_result
from maploop.predict.batch.submitting import Submitter
from maploop.predict.chat.budget import Budget
from maploop.predict.chat.pace import Clock
from maploop.predict.chat.request import Abilities, abilities_of
from maploop.predict.chat.server import Trouble
from maploop.predict.predictor import AnswersLaterError, Assignment, Failure, Outcome, RunEndsError
from maploop.project import ProjectView

T = TypeVar("T")

TIMES: Final = 3  # batches that a tile is in at most, before the server is taken not to come to it
_STORED_TOGETHER: Final = 100  # outcomes
_MANY: Final = 20  # lines that a server does not take, from which on the fault is not that of single tiles
_LATER: Final = "The run waits for its batches: resume it to collect them."
_UNLIMITED: Final = 1_000_000
_FULL: Final = "token_limit_exceeded"  # what a server says that has enough to do


class BatchPredictor:
    """A chat model that is asked in batches; answers what `ChatPredictor` does, for half the price, within a day."""

    def __init__(
        self,
        database: Database,
        project: ProjectView,
        remote: RemoteBatches,
        questions: Questions,
        budget: Budget,
        *,
        prompt_hash: str,
        clock: Clock,
        limits: Limits | None = None,
        waits: bool = True,
    ) -> None:
        """`waits`: for batches at work; otherwise the run is put down after submitting and collecting what there is."""
        self.prompt_hash = prompt_hash
        self._database = database
        self._project = project
        self._remote = remote
        self._questions = questions
        self._budget = budget
        self._clock = clock
        self._limits = limits or Limits()
        self._waits = waits

    @property
    def class_names(self) -> Collection[str]:
        """The classes of the contract."""
        return list(self._questions.contract.geometry_types)

    def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
        """Tiles as their batches come to an end; see `predictor.Predictor`.

        A run that is stopped cancels its batches at the server, and hands over what they had answered by then. One that
        is killed or interrupted leaves them at work: who takes it up goes on with them.
        """
        self._budget.begin(assignment.used)
        records = Records(self._database, self._project, assignment.run_id, assignment.worker)
        patience = Patience(self._clock, assignment.stopped)
        submitter = Submitter(records, self._remote, self._questions, self._budget, self._limits, patience, assignment)
        work = _Work(records, self._remote, self._questions, self._budget, submitter, patience, assignment)
        try:
            yield from work.outcomes(waits=self._waits)
        except KeyboardInterrupt:
            raise AnswersLaterError(_LATER) from None


class _Work:
    """One run under way. A tile is waiting for a batch, or in an open one, or over."""

    def __init__(
        self,
        records: Records,
        remote: RemoteBatches,
        questions: Questions,
        budget: Budget,
        submitter: Submitter,
        patience: Patience,
        assignment: Assignment,
    ) -> None:
        self._records = records
        self._remote = remote
        self._questions = questions
        self._budget = budget
        self._submitter = submitter
        self._patience = patience
        self._assignment = assignment
        self._waiting: deque[Tile] = deque()
        self._open: dict[int, BatchView] = {}
        self._asked_with: dict[int, Abilities] = {}
        self._cancelled: set[int] = set()
        self._times = records.times_asked()
        self._is_full = False  # the server said so, and nothing has come since
        self._most_open = _UNLIMITED  # batches that it is given at once

    def outcomes(self, *, waits: bool) -> Iterator[Sequence[Outcome]]:
        """All that comes of the run. Raises MaploopError."""
        self._submitter.delete_files_left()
        self._take_up()
        while True:
            if self._assignment.stopped():
                self._cancel()
            elif not self._is_full:
                yield from self._submit()
            if not self._open:
                if self._assignment.stopped() or not self._waiting:
                    self._submitter.delete_files_left()
                    return
                if not self._is_full:
                    raise self._budget.ended(len(self._waiting))
            came = False
            for batch in list(self._open.values()):
                came = (yield from self._look_at(batch)) or came
            self._assignment.report(sum(each.completed + each.failed for each in self._open.values()))
            if came:
                self._is_full = False
                self._patience.something_came()
            elif not waits and not self._assignment.stopped():
                raise AnswersLaterError(_LATER)
            else:
                self._patience.until_next_look()
                self._is_full = self._is_full and bool(self._open)

    def _take_up(self) -> None:
        """Go on with what another process left."""
        left = self._records.open_batches()
        clear_files(self._records.run_id, {each.name for each in left if each.status == "written"})
        in_batches: set[Tile] = set()
        for each in left:
            if batch := self._submitter.go_on(each):
                self._open[batch.id] = batch
                self._asked_with[batch.id] = abilities_of(self._questions.parameters)
                for tile in self._records.pending_tiles(batch):
                    in_batches.add(tile)
                    self._submitter.reserved[tile] = self._budget.reserve() or 0.0
        self._waiting.extend(tile for tile in self._assignment.tiles if tile not in in_batches)

    def _submit(self) -> Iterator[Sequence[Outcome]]:
        while self._waiting and not self._is_full and len(self._open) < self._most_open:
            abilities = self._questions.abilities
            batch, failed = self._submitter.submit(self._waiting)
            if batch is not None:
                self._open[batch.id] = batch
                self._asked_with[batch.id] = abilities
            if failed:
                yield failed
            if batch is None:
                return

    def _cancel(self) -> None:
        """Have the server end what is open; what it does not hear now, it is told again."""
        for batch in self._open.values():
            if batch.id not in self._cancelled and not isinstance(self._remote.cancel(batch), Trouble):
                self._cancelled.add(batch.id)

    def _look_at(self, batch: BatchView) -> Generator[Sequence[Outcome], None, bool]:
        """Collect a batch if it is over -> whether it is."""
        seen = self._answered(partial(self._remote.retrieve, batch))
        if (seen.status, seen.completed, seen.failed) != (batch.remote_status, batch.completed, batch.failed):
            batch = self._records.note(batch, remote_status=seen.status, completed=seen.completed, failed=seen.failed)
            self._open[batch.id] = batch
        if not seen.is_over:
            return False
        if seen.status == "failed":
            yield from self._refused(batch, seen)
        else:
            yield from self._collect(batch, seen)
        return True

    def _collect(self, batch: BatchView, seen: RemoteBatch) -> Iterator[Sequence[Outcome]]:
        tiles = self._records.pending_tiles(batch)
        ready: list[Outcome] = []
        for result in self._results(batch, seen):
            if result.tile not in tiles:
                continue  # stored before a kill, or told twice
            del tiles[result.tile]
            ready += self._entered(batch, result)
            if len(ready) >= _STORED_TOGETHER:
                yield ready
                ready = []
        for tile in tiles:
            ready += self._entered(batch, not_reached(tile))
        if ready:
            yield ready
        self._records.note_collected(batch)
        self._most_open += 1
        del self._open[batch.id]
        self._submitter.delete_files(batch, seen)
        if seen.status == "cancelled" and not self._assignment.stopped():
            msg = f"Batch {batch.remote_id} was cancelled at {self._remote.host}: resume the run to submit the rest."
            raise RunEndsError(msg)

    def _results(self, batch: BatchView, seen: RemoteBatch) -> Iterator[Outcome | Unanswered]:
        """What the server's result files say, a line at a time."""
        questions = self._questions
        seconds = seen.seconds / max(1, seen.completed + seen.failed)
        path = batches_folder() / f".{batch.name}.results"
        try:
            for file_id in (seen.output_file_id, seen.error_file_id):
                if file_id is None:
                    continue
                self._answered(partial(self._remote.download, file_id, path))
                with path.open("rb") as file:
                    for line in file:
                        result = read_result(line, self._records.run_id, questions.contract, questions.price, seconds)
                        if result is not None:
                            yield result
        finally:
            path.unlink(missing_ok=True)

    def _answered(self, send: Callable[[], T | Trouble]) -> T:
        """What the server answers about what it was given. Raises MaploopError when it never will."""
        try:
            answer = self._patience.insist(send)
        except NotFoundError as error:
            msg = f"{error} What was submitted cannot be collected: ask its tiles anew with --again."
            raise NotFoundError(msg) from error
        if isinstance(answer, Trouble):
            raise ConflictError(answer.failure.message)
        return answer

    def _entered(self, batch: BatchView, result: Outcome | Unanswered) -> list[Outcome]:
        """The outcome of a tile; none when it waits for another batch, or stays pending in a run that is stopped."""
        if isinstance(result, Outcome):
            self._budget.settle(self._submitter.reserved.pop(result.tile, 0.0), result.usage)
            return [result]
        self._submitter.give_back(result.tile)
        again = result.again or (
            bool(result.complaint) and self._questions.learn(self._asked_with[batch.id], result.complaint)
        )
        times = self._times[result.tile] = self._times.get(result.tile, 0) + 1
        if again and self._assignment.stopped():
            return []
        if again and times < TIMES:
            self._waiting.append(result.tile)
            return []
        return [Outcome(result.tile, failure=result.failure)]

    def _refused(self, batch: BatchView, seen: RemoteBatch) -> Iterator[Sequence[Outcome]]:
        """The server did not begin with the batch: it has too much to do, or does not take the file."""
        tiles = self._records.pending_tiles(batch)
        first = seen.problems[0] if seen.problems else Problem("", "it does not say why", None)
        said = f"{self._remote.host} does not take the batch: {first.message}"
        lines = {each.line: each for each in seen.problems if each.line is not None}
        at_fault = {tile: lines[line] for tile, line in tiles.items() if line in lines}
        is_full = any(each.code == _FULL for each in seen.problems)
        if at_fault and len(at_fault) <= _MANY:
            yield [
                Outcome(tile, failure=Failure("server", f"The server does not take the request: {each.message}"))
                for tile, each in at_fault.items()
            ]
        self._records.drop(batch, said)
        del self._open[batch.id]
        self._submitter.delete_files(batch, seen)
        for tile in tiles:
            self._submitter.give_back(tile)
        if is_full:
            self._hold_back(batch)
        elif not 0 < len(at_fault) <= _MANY:
            raise ConflictError(f"{said} See to it, and resume the run.")
        self._waiting.extendleft(tile for tile in reversed(tiles) if tile not in at_fault)

    def _hold_back(self, batch: BatchView) -> None:
        """Give the server no more than what it is at work on; less at once when even one batch is too much."""
        self._is_full = True
        self._most_open = max(1, len(self._open))
        if not self._open:
            self._submitter.take_at_most(batch.requests // 2)
