"""Asks about one tile until it is answered or given up; learns what the server takes, and counts what that took."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from maploop.contract import Contract
from maploop.errors import ConflictError, MaploopError
from maploop.imagery.tilemath import Tile
from maploop.predict.chat.budget import Budget
from maploop.predict.chat.completion import read_completion
from maploop.predict.chat.pace import LONGEST_REST, Clock, Pace
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.chat.request import Abilities, abilities_of, chat_request, without_what_is_refused
from maploop.predict.chat.server import ChatServer, Trouble
from maploop.predict.chat.shots import Shot
from maploop.predict.predictor import NOTHING_USED, Failure, Outcome, Usage
from maploop.prices import Price


@dataclass(frozen=True)
class Asked:
    """What came of asking: an outcome, None when the tile can still be asked; and why no tile can be, if so."""

    outcome: Outcome | None = None
    fatal: MaploopError | None = None


class Asker:
    """Asks one server about tiles of one contract; safe to use from many threads."""

    def __init__(
        self,
        server: ChatServer,
        identifier: str,
        parameters: ChatParameters,
        contract: Contract,
        *,
        price: Price | None,
        budget: Budget,
        clock: Clock,
    ) -> None:
        self._server = server
        self._identifier = identifier
        self._parameters = parameters
        self._contract = contract
        self._price = price
        self._budget = budget
        self._clock = clock
        self._pace = Pace(clock)
        self._abilities = abilities_of(parameters)
        self._learning = threading.Lock()

    def ask(self, tile: Tile, image: bytes, shots: Sequence[Shot], reserved: float, halt: threading.Event) -> Asked:
        """Ask about a tile; `reserved` is what the budget has set aside for the first attempt.

        Once `halt` is set, no further attempt is made.
        """
        tally = _Tally(tile)
        while True:
            self._pace.wait_for_turn(halt)
            if halt.is_set():
                self._budget.give_back(reserved)
                return Asked(tally.given_up())
            abilities = self._abilities
            body = chat_request(self._contract, image, shots, self._identifier, self._parameters, abilities)
            started = self._clock.now()
            try:
                reply = self._server.complete(body, self._clock.today())
            except MaploopError as fatal:
                self._budget.give_back(reserved)
                return Asked(tally.given_up(), fatal)
            tally.used += Usage(seconds=self._clock.now() - started)
            if not isinstance(reply, Trouble):
                outcome = read_completion(reply, tile, self._contract, self._price)
                self._budget.settle(reserved, outcome.usage)
                tally.used += outcome.usage
                tally.failure = outcome.failure
                tally.malformed += 1
                if not self._is_worth_repeating(outcome, tally):
                    return Asked(replace(outcome, usage=tally.used, unanswered=tally.unanswered))
            elif reply.complaint and self._learnt(abilities, reply.complaint):
                continue
            elif end := self._after_trouble(reply, tally, reserved, halt):
                return end
            if (again := self._budget.reserve()) is None:  # the next attempt waits for a larger budget
                return Asked(tally.given_up())
            reserved = again

    def _is_worth_repeating(self, outcome: Outcome, tally: "_Tally") -> bool:
        is_malformed = outcome.failure is not None and outcome.failure.kind == "malformed"
        return is_malformed and tally.malformed < self._parameters.malformed_attempts

    def _after_trouble(self, trouble: Trouble, tally: "_Tally", reserved: float, halt: threading.Event) -> Asked | None:
        """Settle, and wait as long as is right; None when the tile is to be tried again."""
        tally.failure = trouble.failure
        tally.troubles += 1
        tally.unanswered += trouble.unanswered
        if trouble.unanswered:
            self._budget.settle(reserved, None)
        else:
            self._budget.give_back(reserved)
        if not trouble.again or tally.troubles >= self._parameters.attempts:
            return Asked(tally.failed())
        if trouble.rest is None:
            self._pace.wait_after(tally.troubles - 1, halt)
        elif trouble.rest <= LONGEST_REST:
            self._pace.rest(trouble.rest)
        else:
            return Asked(tally.given_up(), self._wants_long_rest(trouble.rest))
        return None

    def _learnt(self, then: Abilities, complaint: str) -> bool:
        """Whether the request may do better now: something was given up, by this or another worker."""
        with self._learning:
            if self._abilities != then:
                return True
            less = without_what_is_refused(then, self._parameters, complaint)
            self._abilities = less or then
            return less is not None

    def _wants_long_rest(self, seconds: float) -> ConflictError:
        return ConflictError(
            f"{self._server.host} wants no requests for {seconds / 60:,.0f} minutes: resume the run after that."
        )


@dataclass
class _Tally:
    """What asking about a tile has come to so far."""

    tile: Tile
    used: Usage = NOTHING_USED
    unanswered: int = 0
    troubles: int = 0
    malformed: int = 0
    failure: Failure | None = None

    def failed(self) -> Outcome:
        """The tile has no answer, because of what happened last."""
        return Outcome(self.tile, failure=self.failure, usage=self.used, unanswered=self.unanswered)

    def given_up(self) -> Outcome | None:
        """The same where something was paid for; otherwise nothing has happened, and the tile can be asked later."""
        used = self.used
        tokens = used.input_tokens + used.cached_tokens + used.cache_write_tokens + used.output_tokens
        return self.failed() if self.failure and (tokens or used.cost is None) else None
