"""A vendor that knows the truth of some tiles, and processes that die when it is least convenient."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, update

from db.engine import Database
from db.models import Run, RunTile
from db.models import Tile as TileRow
from db.types import utc_now
from maploop.contract import contract_of, picture_of, render_answer
from maploop.imagery.info import SourceInfo
from maploop.imagery.tilemath import Tile
from maploop.predict.batch.files import Limits
from maploop.predict.batch.opening import open_batch
from maploop.predict.batch.predictor import BatchPredictor
from maploop.predict.batch.records import BatchView, batches_of
from maploop.predict.choosing import TileChoice
from maploop.predict.history import RunView, load_run
from maploop.predict.models import ModelView, add_model
from maploop.predict.run import Hear, carry_out, predict_tiles
from maploop.prices import load_prices
from maploop.project import ProjectView
from maploop.settings import get_settings
from tests.builders import PlacedTile, shape_on
from tests.predict.ground import TILES, Killed, tile_at
from tests.vendor import Vendor, picture_hash

ALL = TileChoice("all")
TILE_SIZE = 64


class Colours:
    """Imagery on which every tile has a colour of its own."""

    def __init__(self) -> None:
        self.info = SourceInfo("geotiff", "/colours.tif", None, 0, 20)
        self.fingerprint = "colours"

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        colour = (tile.x * 37 % 256, tile.y * 91 % 256, (tile.x // 7) % 256, 255)
        return np.broadcast_to(np.array(colour, dtype=np.uint8), (size, size, 4)).copy()


class Now:
    """A clock for tests: waiting takes no time; at each wait the next of `then` happens, and `always` does."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []
        self.then: list[Callable[[], object]] = []
        self.always: Callable[[], object] = lambda: None

    def now(self) -> float:
        return self.seconds

    def today(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)

    def wait(self, seconds: float, halt: threading.Event) -> None:
        self.seconds += seconds
        self.waits.append(seconds)
        if self.then:
            self.then.pop(0)()
        self.always()


class Life:
    """So many steps until a process is killed; after that it does nothing any more, not even say goodbye."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def step(self) -> None:
        """Raises Killed."""
        self._left -= 1
        if self._left < 0:
            raise Killed


class MortalTransport(httpx2.HTTPTransport):
    """Each request takes two steps: it may be killed before it leaves, and before its reply is read."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self._life = life

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._life.step()
        response = super().handle_request(request)
        self._life.step()
        return response


class MortalDatabase(Database):
    """Each write takes two steps: it may be killed before and after it is on disk."""

    def __init__(self, database: Database, life: Life) -> None:
        super().__init__(database.engine)
        self._life = life

    @contextmanager
    def write(self, patience: float | None = None) -> Iterator[Connection]:
        self._life.step()
        with super().write() as connection:
            yield connection
        self._life.step()


@dataclass
class World:
    """A project, a model of it at a vendor, and what a process needs to predict with it in batches."""

    database: Database
    project: ProjectView
    model: ModelView
    vendor: Vendor
    limits: Limits = field(default_factory=lambda: Limits(requests=3))
    clock: Now = field(default_factory=Now)
    waits: bool = True
    asked: dict[str, Any] = field(default_factory=lambda: {"batch": True})

    def __post_init__(self) -> None:
        truth = {self.hash_of(tile_at(column)): self.answer(column) for column in range(TILES)}
        self.vendor.brain = lambda question: truth[question.picture or ""]

    def hash_of(self, tile: Tile) -> str:
        """By which the vendor knows a tile."""
        return picture_hash(picture_of(Colours(), tile, contract_of(self.project)))

    def answer(self, column: int) -> str:
        """The truth: a building."""
        shape = shape_on(PlacedTile(0, tile_at(column)), column)
        return render_answer([("building", shape)], tile_at(column), contract_of(self.project))

    def predictor(self, database: Database | None = None, life: Life | None = None) -> BatchPredictor:
        """As a new process opens it."""
        return open_batch(
            self.project,
            self.model,
            self.asked,
            database=database or self.database,
            waits=self.waits,
            sources=lambda _: Colours(),
            http_client=None if life is None else httpx2.Client(transport=MortalTransport(life)),
            clock=self.clock,
            limits=self.limits,
        )

    def use_model(self, identifier: str) -> None:
        """Predict with another model of the vendor's."""
        if identifier not in self.vendor.models:
            self.vendor.add_models([identifier])
        with self.database.write() as connection:
            server = self.model.parameters
            name = f"town with {identifier}"
            self.model = add_model(connection, self.project, name, "chat", identifier=identifier, parameters=server)

    def was_cancelled(self) -> bool:
        """Finds out that the last run was cancelled, without the wait for the next sign of life."""
        run = self.last_run()
        return run is not None and run.status in ("stopping", "cancelled")

    def predict(
        self,
        life: Life | None = None,
        *,
        again: bool = False,
        hear: Hear = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> RunView:
        """Begin a run over all tiles, and carry it out. Raises Killed at the end of a life."""
        database = self.database if life is None else MortalDatabase(self.database, life)
        report = predict_tiles(
            database,
            self.project,
            self.model,
            self.predictor(database, life),
            ALL,
            parameters=self.asked,
            again=again,
            hear=hear,
            cancelled=cancelled,
            sources=lambda _: Colours(),
        )
        assert report.run is not None
        return report.run

    def resume(self, run_id: int, life: Life | None = None, *, cancelled: bool = False) -> RunView:
        """Take a run up."""
        database = self.database if life is None else MortalDatabase(self.database, life)
        return carry_out(
            database,
            self.project,
            run_id,
            self.predictor(database, life),
            sources=lambda _: Colours(),
            cancelled=lambda: cancelled,
        )

    @property
    def batches_folder(self) -> Path:
        """Where files are on their way."""
        return get_settings().data / "batches"

    def last_run(self) -> RunView | None:
        """The newest run."""
        with self.database.read() as connection:
            run_id = connection.execute(select(Run.id).order_by(Run.id.desc())).scalar()
            return None if run_id is None else load_run(connection, self.project, run_id)

    def batches(self, run: RunView) -> list[BatchView]:
        """Those of a run."""
        with self.database.read() as connection:
            return batches_of(connection, run.id)

    def bury(self) -> None:
        """The killed worker is known to be gone."""
        with self.database.write() as connection:
            connection.execute(
                update(Run)
                .where(Run.worker != "")
                .values(worker="elsewhere:1:abc", beat_at=utc_now() - timedelta(hours=1))
            )

    def messages(self, run: RunView) -> dict[Tile, str]:
        """What is said of failed tiles."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(TileRow.z, TileRow.x, TileRow.y, RunTile.failure, RunTile.message)
                .join(RunTile, RunTile.tile_id == TileRow.id)
                .where(RunTile.run_id == run.id, RunTile.status == "failed")
            )
            return {Tile(row.z, row.x, row.y): f"{row.failure}: {row.message}" for row in rows}

    def assert_paid_once(self, run: RunView) -> None:
        """Nothing was paid for twice, and what the run says it cost is what the vendor charged."""
        assert not self.vendor.bill.twice()
        assert run.usage.cost is not None
        assert abs(run.usage.cost - self.vendor.bill.cost(load_prices().price_of)) < 1e-12
