"""The chat predictor: tiles are asked about several at once, and handed over as they are answered."""

import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from maploop.contract import Contract
from maploop.errors import ConflictError, ImageryError, MaploopError
from maploop.imagery.tilemath import Tile
from maploop.predict.chat.asker import Asked, Asker
from maploop.predict.chat.budget import Budget
from maploop.predict.chat.shots import Shots, tile_picture
from maploop.predict.predictor import Assignment, Failure, Outcome

IN_A_ROW: Final = 5  # tiles that fail because of the server, after which it is no use to go on
_OF_THE_SERVER: Final = frozenset({"rate_limit", "timeout", "server", "unreachable"})
_LOOK_UP: Final = 0.2  # seconds between looks whether the run was cancelled


class ChatPredictor:
    """A chat model under one contract, with its examples, budget and pace."""

    def __init__(
        self, asker: Asker, contract: Contract, shots: Shots, budget: Budget, *, prompt_hash: str, concurrency: int = 4
    ) -> None:
        """`prompt_hash`: of all that asker, contract and shots ask."""
        self.prompt_hash = prompt_hash
        self._asker = asker
        self._contract = contract
        self._shots = shots
        self._budget = budget
        self._concurrency = concurrency

    @property
    def class_names(self) -> Collection[str]:
        """The classes of the contract."""
        return list(self._contract.geometry_types)

    def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
        """Tiles as they are answered; see `predictor.Predictor`.

        What is under way when something ends the run is waited for, and handed over before it is said what that was.
        """
        self._budget.begin(assignment.used)
        halt = threading.Event()
        workers = ThreadPoolExecutor(self._concurrency, thread_name_prefix="chat")
        under_way: set[Future[Asked]] = set()
        left = deque(assignment.tiles)
        ledger = _Ledger()
        try:
            while True:
                if ledger.fatal or assignment.stopped():
                    halt.set()
                while left and not halt.is_set() and len(under_way) < 2 * self._concurrency:
                    if (reserved := self._budget.reserve()) is None:
                        break
                    under_way.add(workers.submit(self._ask, left.popleft(), assignment, reserved, halt))
                if not under_way:
                    break
                try:
                    ready, under_way = wait(under_way, timeout=_LOOK_UP, return_when=FIRST_COMPLETED)
                except KeyboardInterrupt as interrupt:  # once: what is paid for is waited for; twice: not
                    if isinstance(ledger.fatal, KeyboardInterrupt):
                        raise
                    ledger.fatal = interrupt
                    continue
                if outcomes := ledger.enter(ready):
                    yield outcomes
        finally:
            halt.set()
            workers.shutdown(wait=False, cancel_futures=True)
        pending = len(left) + ledger.pending
        if ledger.fatal and (pending or not ledger.gave_up):
            raise ledger.fatal
        if pending and not assignment.stopped():
            raise self._budget.ended(pending)

    def _ask(self, tile: Tile, assignment: Assignment, reserved: float, halt: threading.Event) -> Asked:
        if halt.is_set():
            self._budget.give_back(reserved)
            return Asked()
        try:
            image = tile_picture(tile, assignment, self._contract)
            if isinstance(image, Failure):
                return self._unseen(tile, reserved, image)
            shots = self._shots.of(tile, assignment)
        except ImageryError as error:
            return self._unseen(tile, reserved, Failure("imagery", str(error)))
        except MaploopError as error:
            self._budget.give_back(reserved)
            return Asked(fatal=error)
        return self._asker.ask(tile, image, shots, reserved, halt)

    def _unseen(self, tile: Tile, reserved: float, failure: Failure) -> Asked:
        self._budget.give_back(reserved)
        return Asked(Outcome(tile, failure=failure))


class _Ledger:
    """What came of the tiles so far, and whether that is a reason to go no further."""

    def __init__(self) -> None:
        self.fatal: BaseException | None = None
        self.gave_up = False  # the reason is that many tiles failed, each of which has its outcome
        self.pending = 0
        self._in_a_row = 0

    def enter(self, ready: Iterable[Future[Asked]]) -> list[Outcome]:
        """The outcomes among what is ready."""
        outcomes = []
        for future in ready:
            if (broken := future.exception()) is not None:
                self.fatal = self.fatal or broken
                self.pending += 1
                continue
            asked = future.result()
            self.fatal = self.fatal or asked.fatal
            if asked.outcome is None:
                self.pending += 1
                continue
            outcomes.append(asked.outcome)
            self._count(asked.outcome.failure)
        return outcomes

    def _count(self, failure: Failure | None) -> None:
        if failure is None or failure.kind not in _OF_THE_SERVER:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW and self.fatal is None:
            self.gave_up = True
            self.fatal = ConflictError(
                f"{self._in_a_row} tiles in a row failed: {failure.message} See to it and resume the run; a new run "
                "asks the failed tiles again."
            )
