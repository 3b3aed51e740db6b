"""The coverage map: every tile is in it once, however few squares are drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from db.engine import Database
from maploop.coverage import Backdrop, Cell, backdrops_of, coverage_of
from maploop.imagery.tilemath import Tile, parse_tile
from tests.builders import CORNER, a_person, a_project, a_tile, some_imagery

CELLS = some.dictionaries(some.sampled_from(("returned", "open", "complete", "approved")), some.integers(1, 9))


def test_tiles_are_squares_of_their_own_while_they_are_few(database: Database) -> None:
    with database.write() as connection:
        project = a_project(connection)
        anna = a_person(connection, "anna")
        a_tile(connection, project, 0)
        done = a_tile(connection, project, 3, 2, status="complete", finished_by=anna)
        other = a_project(connection, "Other")
        a_tile(connection, other, 9)
        coverage = coverage_of(connection, project)
    assert coverage.zoom == 19
    assert sorted((str(each.address), each.status, str(each.opens)) for each in coverage.cells) == [
        (str(CORNER), "open", str(CORNER)),
        (str(done), "complete", str(done)),
    ]
    west, south, east, north = coverage.bounds
    assert (west, north) == (CORNER.bounds[0], CORNER.bounds[3])
    assert (east, south) == (done.address.bounds[2], done.address.bounds[1])


def test_many_tiles_are_gathered_into_parents(database: Database) -> None:
    with database.write() as connection:
        project = a_project(connection)
        anna = a_person(connection, "anna")
        for index in range(64):
            status = "open" if index == 9 else "approved"
            a_tile(connection, project, index % 8, index // 8, status=status, finished_by=anna)
        coverage = coverage_of(connection, project, max_cells=20)
    assert coverage.zoom == 18
    assert sum(sum(each.statuses.values()) for each in coverage.cells) == 64
    assert len(coverage.cells) <= 20
    opens = [each.opens for each in coverage.cells if "open" in each.statuses]
    assert opens == [Tile(19, CORNER.x + 1, CORNER.y + 1)]
    for each in coverage.geojson()["features"]:
        assert parse_tile(each["properties"]["opens"]).z == 19


def test_scattered_tiles_are_gathered_until_they_are_few_enough(database: Database) -> None:
    with database.write() as connection:
        project = a_project(connection)
        for index in range(12):
            a_tile(connection, project, index * 64)
        coverage = coverage_of(connection, project, max_cells=6)
    assert len(coverage.cells) <= 6
    assert coverage.zoom < 14


def test_a_project_without_tiles_has_no_squares(database: Database) -> None:
    with database.write() as connection:
        coverage = coverage_of(connection, a_project(connection))
    assert coverage.cells == ()
    assert coverage.geojson()["features"] == []


def test_imagery_that_covers_a_tile_lies_under_the_squares(database: Database) -> None:
    with database.write() as connection:
        project = a_project(connection)
        used = some_imagery(connection, project, location="/a.tif", info={"min_zoom": 14, "max_zoom": 20})
        some_imagery(connection, project, location="/unused.tif")
        a_tile(connection, project, imagery_id=used)
        assert backdrops_of(connection, project) == [Backdrop(used, "Us", 14, 20)]


@given(CELLS.filter(bool))
def test_a_square_has_the_status_most_of_its_tiles_have(statuses: dict[str, int]) -> None:
    cell = Cell(Tile(1, 0, 0), statuses, Tile(2, 0, 0))
    assert statuses[cell.status] == max(statuses.values())


@pytest.mark.parametrize(
    ("statuses", "status"), [({"open": 2, "approved": 2}, "open"), ({"complete": 1, "returned": 1}, "returned")]
)
def test_of_equals_the_status_that_asks_for_work_shows(statuses: dict[str, int], status: str) -> None:
    assert Cell(Tile(1, 0, 0), statuses, Tile(2, 0, 0)).status == status
