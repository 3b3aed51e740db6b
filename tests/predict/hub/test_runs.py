"""Runs of transformers models on a project's tiles, and of a SAM that sharpens them, as the CLI begins them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.models import Feature, Prediction
from maploop.database import Database
from maploop.imagery.info import ImagerySource
from maploop.predict.choosing import TileChoice
from maploop.predict.hub.opening import add_hub_model
from maploop.predict.models import ModelView
from maploop.predict.registry import open_predictor, question_hash
from maploop.predict.run import PredictReport, predict_tiles
from maploop.project import ProjectView
from tests.predict.ground import TILES
from tests.predict.hub.ground import WHY, Town

pytest.importorskip("torch", reason=WHY)
pytest.importorskip("transformers", reason=WHY)

Tiny = Callable[[str], Path]
ALL = TileChoice("all")


def predicted(database: Database, project: ProjectView, model: ModelView, *, again: bool = False) -> PredictReport:
    town = Town()

    def sources(_imagery: int) -> ImagerySource:
        return town

    predictor = open_predictor(project, model, database=database)
    return predict_tiles(database, project, model, predictor, ALL, again=again, sources=sources)


def test_boxes_are_predicted_and_sharpened_and_nothing_is_asked_twice(
    database: Database, project: ProjectView, tiny: Tiny
) -> None:
    """The SAM's weights are from chance: what it says is checked, and where it is nonsense the box stays."""
    boxes = add_hub_model(
        database,
        project,
        "boxes",
        str(tiny("boxes")),
        {"task": "detection", "labels": {"house": "building"}, "window": 512, "overlap": 0},
    )
    sharper = add_hub_model(
        database, project, "sharper", str(tiny("prompted")), {"task": "sharpen", "sharpen": "boxes", "threshold": 0}
    )
    run = predicted(database, project, boxes).run
    assert run is not None
    assert (run.status, run.done, run.features, run.usage.cost) == ("finished", TILES, TILES, 0)
    assert run.usage.seconds > 0
    run = predicted(database, project, sharper).run
    assert run is not None
    assert (run.status, run.done, run.failed, run.features) == ("finished", TILES, 0, TILES)
    with database.read() as connection:
        counted = connection.execute(select(func.count()).select_from(Prediction)).scalar_one()
        shown = connection.execute(select(func.count()).where(Feature.withdrawn.is_(False))).scalar_one()
    assert (counted, shown) == (2 * TILES, TILES)
    for model in (boxes, sharper):
        opened = open_predictor(project, model, database=database)
        assert question_hash(database, project, model, {}) == opened.prompt_hash
    again = predicted(database, project, sharper)
    assert (again.run, again.known) == (None, TILES)
    predicted(database, project, boxes, again=True)
    anew = predicted(database, project, sharper).run
    assert anew is not None
    assert anew.done == TILES
