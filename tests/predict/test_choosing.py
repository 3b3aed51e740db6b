"""Which tiles a run is about."""

import pytest
from sqlalchemy import select, update

from db.models import Tile as TileRow
from maploop.database import Database
from maploop.errors import InputError, NotFoundError
from maploop.imagery.tilemath import Tile
from maploop.predict.choosing import TileChoice, choose_tiles, split_named
from maploop.project import ProjectView
from tests.builders import PlacedTile, a_prediction
from tests.predict.ground import TILES, tile_at


def chosen(database: Database, project: ProjectView, choice: TileChoice) -> list[Tile]:
    with database.read() as connection:
        return list(choose_tiles(connection, project, choice).values())


def change(database: Database, column: int, **values: object) -> None:
    with database.write() as connection:
        connection.execute(update(TileRow).where(TileRow.x == tile_at(column).x).values(**values))


def test_unreviewed_tiles_are_those_open_or_returned(database: Database, project: ProjectView) -> None:
    change(database, 0, status="complete")
    change(database, 1, status="approved")
    change(database, 2, status="returned")
    assert set(chosen(database, project, TileChoice())) == {tile_at(column) for column in range(2, TILES)}
    assert len(chosen(database, project, TileChoice("all"))) == TILES


def test_a_split_means_its_finished_tiles_unless_told_otherwise(database: Database, project: ProjectView) -> None:
    change(database, TILES - 1, status="approved")
    change(database, 0, status="complete")
    assert chosen(database, project, TileChoice(split="test")) == [tile_at(TILES - 1)]
    assert chosen(database, project, TileChoice("unreviewed", "test")) == [tile_at(TILES - 2)]
    assert set(chosen(database, project, TileChoice("all", "test"))) == {tile_at(TILES - 2), tile_at(TILES - 1)}
    assert set(chosen(database, project, TileChoice("finished"))) == {tile_at(0), tile_at(TILES - 1)}


def test_given_tiles_are_these_and_no_others(database: Database, project: ProjectView) -> None:
    change(database, 3, status="approved")
    assert chosen(database, project, TileChoice(given=[tile_at(3)])) == [tile_at(3)]
    with pytest.raises(NotFoundError, match=f"{tile_at(99)} is not a tile of 'Town' with imagery"):
        chosen(database, project, TileChoice(given=[tile_at(3), tile_at(99)]))


def test_tiles_come_by_place(database: Database, project: ProjectView) -> None:
    keys = [tile.quadkey for tile in chosen(database, project, TileChoice("all"))]
    assert keys == sorted(keys)


def test_worth_knowing_most_is_what_is_unsure_and_far_from_reviewed_ground(
    database: Database, project: ProjectView
) -> None:
    with database.write() as connection:
        for row in connection.execute(select(TileRow.id, TileRow.z, TileRow.x, TileRow.y)).all():
            a_prediction(connection, project, PlacedTile(row.id, Tile(row.z, row.x, row.y)))
    for column in range(TILES):
        change(database, column, uncertainty=0.2)
    change(database, 0, status="approved")
    assert chosen(database, project, TileChoice(most=1)) == [tile_at(TILES - 1)]
    first, second = chosen(database, project, TileChoice(most=2))
    assert {first, second} == {tile_at(TILES - 1), tile_at(3)}  # the next one halfway between the two
    change(database, 1, uncertainty=1.0)
    assert tile_at(1) in chosen(database, project, TileChoice(most=2))


def test_where_nothing_is_predicted_nothing_is_known(database: Database, project: ProjectView) -> None:
    with database.write() as connection:
        for row in connection.execute(select(TileRow.id, TileRow.z, TileRow.x, TileRow.y)).all():
            if row.x != tile_at(5).x:
                a_prediction(connection, project, PlacedTile(row.id, Tile(row.z, row.x, row.y)))
    assert chosen(database, project, TileChoice(most=1)) == [tile_at(5)]


def test_asking_for_more_than_there_are_gives_all(database: Database, project: ProjectView) -> None:
    assert len(chosen(database, project, TileChoice(most=1000))) == TILES
    with pytest.raises(InputError, match="0 tiles cannot be predicted"):
        chosen(database, project, TileChoice(most=0))
    with pytest.raises(InputError, match="'exam' is not a split: use train, validation, test"):
        split_named("exam")
