"""Blind test tiles: nothing predicted is shown there, everything predicted is kept, and they can be finished."""

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.conditions import undecided
from db.models import Feature, Prediction, Tile, TileFeature
from maploop.cli import run
from maploop.database import Database
from maploop.errors import ConflictError, InputError
from maploop.predict.blind import blind_tiles, make_blind
from maploop.predict.file import import_predictions
from maploop.review.deck import deck_of
from tests.builders import PlacedTile, a_decision, a_person, a_prediction, a_project, a_tile, shape_on
from tests.intake.files import write


class Ground:
    """Six open test tiles in three blocks, one of training, a predicted building each; anna decided on the first."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as connection:
            self.project = a_project(connection)
            self.anna = a_person(connection, "anna")
            self.tests = [a_tile(connection, self.project, column, split="test") for column in (0, 1, 4, 5, 8, 9)]
            self.trained = a_tile(connection, self.project, 12, split="train")
            for tile in (*self.tests, self.trained):
                feature = a_prediction(connection, self.project, tile, 33).feature_id
                if tile == self.tests[0]:
                    a_decision(connection, self.project, tile, feature, "accept", self.anna)

    def shown(self, tile: PlacedTile) -> int:
        with self.database.read() as connection:
            return len(deck_of(connection, self.project, tile.id, self.anna, drawn_by="place")["features"])

    def make(self, count: int) -> list[PlacedTile]:
        """Make tiles blind -> those that are."""
        with self.database.write() as connection:
            make_blind(connection, self.project, count)
            ids = set(connection.execute(select(Tile.id).where(Tile.blind.is_(True))).scalars())
        return [tile for tile in self.tests if tile.id in ids]

    def undecided_on(self, tile: PlacedTile) -> int:
        with self.database.read() as connection:
            query = select(func.count()).select_from(Feature).join(TileFeature, TileFeature.feature_id == Feature.id)
            return connection.execute(query.where(TileFeature.tile_id == tile.id, undecided())).scalar_one()


@pytest.fixture
def ground(database: Database) -> Ground:
    return Ground(database)


def test_blind_tiles_are_open_test_tiles_of_all_blocks_in_turn_and_show_nothing(ground: Ground) -> None:
    blind = ground.make(3)
    assert sorted((tile.address.x >> 2) for tile in blind) == [
        (ground.tests[0].address.x >> 2) + each for each in range(3)
    ]
    assert ground.tests[0] not in blind
    assert [ground.shown(tile) for tile in blind] == [0, 0, 0]
    assert [ground.undecided_on(tile) for tile in blind] == [0, 0, 0]
    assert all(ground.shown(tile) == 1 for tile in (*ground.tests, ground.trained) if tile not in blind)
    with ground.database.read() as connection:
        deck = deck_of(connection, ground.project, blind[0].id, ground.anna, drawn_by="place")
        kept = connection.execute(select(func.count()).select_from(Prediction)).scalar_one()
    assert (deck["tile"]["blind"], kept) == (True, 7)
    assert ground.make(5)[:3] != []


def test_predictions_that_come_later_are_held_out_too_and_what_people_drew_is_confirmed(
    ground: Ground, tmp_path: Path
) -> None:
    tile = ground.make(1)[0]
    with ground.database.write() as connection:
        a_decision(connection, ground.project, tile, None, "add", ground.anna, geometry=shape_on(tile, 70))
    path = write(tmp_path / "later.geojson", [shape_on(tile, place) for place in (33, 50, 70)])
    answer = import_predictions(ground.database, ground.project, path, model_name="later")
    assert (answer["confirmed"], answer["blind"], ground.undecided_on(tile), ground.shown(tile)) == (1, 2, 0, 1)
    with ground.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(Prediction)).scalar_one() == 10


def test_a_feature_that_reaches_onto_a_blind_tile_is_held_out_on_both_sides_of_the_border(
    ground: Ground, tmp_path: Path
) -> None:
    ground.make(5)
    left, right = ground.tests[:2]
    across = shape_on(left, 59, shift=1.0)
    path = write(tmp_path / "across.geojson", [across])
    import_predictions(ground.database, ground.project, path, model_name="across")
    assert (ground.shown(left), ground.shown(right)) == (1, 0)


def test_blind_stays_blind_and_no_more_than_there_are(ground: Ground) -> None:
    ground.make(3)
    with pytest.raises(InputError, match="3 test tiles are blind already, and stay so"):
        ground.make(2)
    with pytest.raises(ConflictError, match="5 test tiles can be blind at most, not 6"):
        ground.make(6)
    assert len(ground.make(5)) == 5


def test_the_command_makes_tiles_blind_and_says_how_many(
    ground: Ground, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["blind", "Town", "--tiles", "2", "--json", "--db", database_url]) == 0
    assert json.loads(capsys.readouterr().out) == {"test": 6, "blind": 2, "finished": 0}
    assert run(["blind", "Town", "--db", database_url]) == 0
    assert capsys.readouterr().out == "2 of 6 test tiles are blind, 0 of these are finished.\n"
    with ground.database.read() as connection:
        assert blind_tiles(connection, ground.project).blind == 2
