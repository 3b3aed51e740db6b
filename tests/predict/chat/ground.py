"""Painted ground that a chat model is asked about, at a server on the loopback address."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import update

from db.models import Tile as TileRow
from maploop.contract import Contract, picture_of, render_answer
from maploop.predict.batch.opening import open_batch
from maploop.predict.chat.opening import chat_parameters_of_run, open_chat
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.choosing import TileChoice
from maploop.predict.history import RunView
from maploop.predict.models import ModelView, add_model
from maploop.predict.predictor import Predictor
from maploop.predict.run import Hear, PredictReport, carry_out, predict_tiles
from tests.predict.ground import tile_at
from tests.tune.ground import Ground, Painted, outlines
from tests.vendor import Question, Vendor, picture_hash

ALL = TileChoice("all")
KEY_NAME = "TOWN_KEY"


class FakeClock:
    """Time that goes by when somebody waits, and not otherwise; `then` happens at each wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.then: Callable[[], None] = lambda: None
        self._seconds = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._seconds

    def today(self) -> datetime:
        return datetime(2026, 11, 24, 12, tzinfo=UTC) + timedelta(seconds=self._seconds)

    def wait(self, seconds: float, halt: threading.Event) -> None:
        with self._lock:
            self.waits.append(seconds)
            self._seconds += seconds
        self.then()


@dataclass
class Town:
    """Painted ground, the server, and a model there that knows every house."""

    ground: Ground
    vendor: Vendor
    model: ModelView
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def contract(self) -> Contract:
        """What the model is asked."""
        return ChatParameters.of(self.model.parameters).contract(self.ground.project)

    def picture(self, column: int) -> str:
        """The hash of the picture of a tile."""
        return _picture(column, self.contract)

    def picture_now(self, column: int) -> str:
        """The same, when the ground was painted over."""
        return picture_hash(picture_of(self.ground.painted, self.ground.tile(column), self.contract))

    def answers(self) -> dict[str, str]:
        """The right answer to each picture."""
        return {self.picture(column): right_answer(column, self.contract) for column in range(len(self.ground.splits))}

    def predict(
        self, choice: TileChoice = ALL, *, again: bool = False, hear: Hear = lambda _: None, **asked: Any
    ) -> PredictReport:
        """Run the model, in batches if so asked; keywords are what the run asks for."""
        ground = self.ground
        parameters = chat_parameters_of_run(ground.database, ground.project, self.model, asked, sources=ground.sources)
        opened: Callable[..., Predictor] = open_batch if asked.get("batch") else open_chat
        predictor = opened(
            ground.project, self.model, parameters, database=ground.database, sources=ground.sources, clock=self.clock
        )
        return predict_tiles(
            ground.database,
            ground.project,
            self.model,
            predictor,
            choice,
            parameters=parameters,
            again=again,
            hear=hear,
            sources=ground.sources,
        )

    def run(self, choice: TileChoice = ALL, **asked: Any) -> RunView:
        """The run that `predict` made."""
        run = self.predict(choice, **asked).run
        assert run is not None
        return run

    def resume(self, run: RunView, **changed: Any) -> RunView:
        """Go on with a run as it was asked."""
        ground = self.ground
        predictor = open_chat(
            ground.project,
            self.model,
            {**run.parameters, **changed},
            database=ground.database,
            sources=ground.sources,
            clock=self.clock,
        )
        return carry_out(ground.database, ground.project, run.id, predictor, sources=ground.sources)

    def with_model(self, **parameters: Any) -> "Town":
        """The same town with another model."""
        name = f"model {len(parameters)} {sorted(parameters.items())}"[:90]
        identifier = parameters.pop("identifier", "gpt-4o")
        model = a_chat_model(self.ground, self.vendor, name, identifier, **parameters)
        return Town(self.ground, self.vendor, model, self.clock)

    def open(self, *columns: int) -> None:
        """Nobody has finished these tiles."""
        with self.ground.database.write() as connection:
            xs = [self.ground.tile(column).x for column in columns]
            connection.execute(update(TileRow).where(TileRow.x.in_(xs)).values(status="open", finished_by=None))


def a_chat_model(ground: Ground, vendor: Vendor, name: str, identifier: str = "gpt-4o", **parameters: Any) -> ModelView:
    """A model at the server."""
    values = {"base_url": vendor.url, "key": KEY_NAME, "timeout": 5.0, **parameters}
    with ground.database.write() as connection:
        return add_model(connection, ground.project, name, "chat", identifier=identifier, parameters=values)


@cache
def _picture(column: int, contract: Contract) -> str:
    return picture_hash(picture_of(Painted(), tile_at(column), contract))


@cache
def right_answer(column: int, contract: Contract) -> str:
    """All houses of a tile."""
    tile = tile_at(column)
    return render_answer([("building", outline) for outline in outlines(column)], tile, contract)


def knows(answers: dict[str, str]) -> Callable[[Question], str]:
    """A brain with these answers."""

    def brain(question: Question) -> str:
        assert question.picture is not None
        return answers[question.picture]

    return brain
