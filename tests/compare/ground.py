"""Comparisons drawn in metres, without a database; and a small town with two models, with one."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sqlalchemy import select

from db.models import Model
from maploop.compare.sidebyside import Comparison, Contender
from maploop.compare.spending import GUESSED_CORRECTED, GUESSES, Speeds, Spent
from maploop.database import Database
from maploop.evaluate.answers import AnswerCounts
from maploop.evaluate.matching import Rules
from maploop.evaluate.metrics import evaluate_in_detail
from maploop.quality.statistics import Metric
from tests.builders import CORNER, a_decision, a_person, a_prediction, a_project, a_tile, shape_on
from tests.evaluate.ground import CLASSES, Drawn, layer

GUESSED = Speeds(
    **{name: Metric(seconds, 0, 0) for name, seconds in GUESSES.items()}, corrected=Metric(GUESSED_CORRECTED, 0, 0)
)


def compared(
    truth: Iterable[Drawn],
    models: Mapping[str, Iterable[Drawn]],
    *,
    tiles: int = 4,
    spent: Mapping[str, Spent] | None = None,
    training: Mapping[str, float | None] | None = None,
) -> Comparison:
    """Models side by side on what was drawn; each tile ran for a second and cost nothing unless told otherwise."""
    true, rules = layer(truth), Rules()

    def contender(name: str, drawn: Iterable[Drawn]) -> Contender:
        return Contender(
            name=name,
            backend="chat",
            identifier="",
            parent=None,
            dataset_id=None,
            runs=(1,),
            prompt_hashes=("p",),
            detail=evaluate_in_detail(true, layer(drawn), CLASSES, tiles, rules),
            failed=np.zeros(tiles, dtype=np.bool_),
            failures={},
            answers=AnswerCounts(answered=tiles),
            spent=(spent or {}).get(name, Spent(tiles=tiles, cost=0.0, seconds=float(tiles))),
            training_cost=(training or {}).get(name, 0.0),
        )

    return Comparison(
        project="Town",
        split="test",
        tiles=tuple(type(CORNER)(CORNER.z, CORNER.x + column, CORNER.y) for column in range(tiles)),
        km2=tiles * 0.006,
        classes=CLASSES,
        truth=true,
        rules=rules,
        contenders=tuple(contender(name, drawn) for name, drawn in models.items()),
    )


class Town:
    """Twelve finished test tiles of four buildings, each a split block; `base` found half, `tuned` nearly all."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as connection:
            self.project = a_project(connection, block_zoom_offset=0)
            self.anna = a_person(connection, "anna")
            done: dict[str, Any] = {"status": "complete", "finished_by": self.anna}
            self.tests = [a_tile(connection, self.project, column, split="test", **done) for column in range(12)]
            for tile in self.tests:
                for place in range(4):
                    geometry = shape_on(tile, place)
                    a_decision(connection, self.project, tile, None, "add", self.anna, geometry=geometry, seconds=10.0)
            for column, tile in enumerate(self.tests):
                for place in range(4):
                    if (place + column) % 2:
                        a_prediction(connection, self.project, tile, place, model="base")
                    if place or column:
                        a_prediction(connection, self.project, tile, place, model="tuned")
                a_prediction(connection, self.project, tile, 50, model="base")

    def model_id(self, name: str) -> int:
        with self.database.read() as connection:
            return connection.execute(select(Model.id).where(Model.name == name)).scalar_one()
