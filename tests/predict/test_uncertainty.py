"""How uncertain a tile is: by the models' own scores, and by what two runs say of the same ground."""

import pytest
from sqlalchemy import select

from db.models import Tile as TileRow
from maploop.database import Database
from maploop.imagery.tilemath import Tile
from maploop.predict.choosing import TileChoice
from maploop.predict.models import ModelView, add_model
from maploop.predict.run import predict_tiles
from maploop.project import ProjectView
from tests.predict.ground import TILES, FakePredictor, tile_at

ALL = TileChoice("all")


@pytest.fixture
def other(database: Database, project: ProjectView) -> ModelView:
    """A second model of the project."""
    with database.write() as connection:
        return add_model(connection, project, "other", "chat")


def uncertainties(database: Database) -> dict[Tile, float]:
    with database.read() as connection:
        rows = connection.execute(select(TileRow.z, TileRow.x, TileRow.y, TileRow.uncertainty))
        return {Tile(row.z, row.x, row.y): row.uncertainty for row in rows}


@pytest.mark.parametrize(("score", "expected"), [(0.9, 0.2), (0.5, 1.0), (0.0, 0.0), (None, 0.5)])
def test_one_run_is_as_unsure_as_its_scores(
    database: Database, project: ProjectView, model: ModelView, score: float | None, expected: float
) -> None:
    predict_tiles(database, project, model, FakePredictor(score=score), ALL)
    assert list(uncertainties(database).values()) == pytest.approx([expected] * TILES)


@pytest.mark.parametrize(("score", "expected"), [(0.9, 0.2), (None, 0.0)])
def test_where_two_runs_agree_their_scores_count_and_without_any_nothing_is_in_doubt(
    database: Database, project: ProjectView, model: ModelView, other: ModelView, score: float | None, expected: float
) -> None:
    predict_tiles(database, project, model, FakePredictor(score=score), ALL)
    predict_tiles(database, project, other, FakePredictor(score=score), ALL)
    assert list(uncertainties(database).values()) == pytest.approx([expected] * TILES)


def test_where_two_runs_disagree_all_is_in_doubt_however_sure_they_are(
    database: Database, project: ProjectView, model: ModelView, other: ModelView
) -> None:
    predict_tiles(database, project, model, FakePredictor(score=1.0), ALL)
    told = FakePredictor(place=1, score=1.0, failing=[tile_at(2)], empty=[tile_at(3)])
    predict_tiles(database, project, other, told, ALL)
    found = uncertainties(database)
    assert found[tile_at(0)] == 1.0
    assert found[tile_at(2)] == 0.0  # only one of them has answered
    assert found[tile_at(3)] == 0.0  # the newer one found nothing: nothing is left to decide


def test_the_newest_two_runs_are_held_against_each_other_also_of_one_model(
    database: Database, project: ProjectView, model: ModelView, other: ModelView
) -> None:
    predict_tiles(database, project, model, FakePredictor(place=1, score=1.0), ALL)
    predict_tiles(database, project, other, FakePredictor(score=1.0), ALL)
    assert uncertainties(database)[tile_at(0)] == 1.0
    predict_tiles(database, project, other, FakePredictor(score=1.0, prompt_hash="another"), ALL)
    assert uncertainties(database)[tile_at(0)] == 0.0
