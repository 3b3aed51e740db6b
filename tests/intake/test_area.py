"""An area of interest: tiles are made in it, and work is asked for and counted there."""

from pathlib import Path

import pytest
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import update

from db.models import Tile as TileRow
from maploop.coverage import coverage_of
from maploop.database import Database
from maploop.errors import InputError, VectorError
from maploop.imagery.register import register_imagery
from maploop.imagery.register_area import import_area
from maploop.overview import overview_of
from maploop.predict.choosing import TileChoice, choose_tiles
from maploop.predict.file import import_predictions
from maploop.project import ProjectView
from maploop.review.progress import progress_of
from maploop.review.queue import draw_next
from maploop.review.undo_import import undo_import
from maploop.status import status_of
from maploop.vectors.area import read_area
from tests.builders import CORNER, a_person
from tests.intake.files import block, square, tiles, write
from tests.intake.test_imagery import TEMPLATE, covered, tile_folder

FIRST_TWO = block(2)


def counted(database: Database) -> list[int]:
    """Columns of the tiles that count, from the corner tile."""
    return sorted(address.x - CORNER.x for address, row in tiles(database).items() if row.set_aside is None)


def area(database: Database, project: ProjectView, ground: BaseGeometry = FIRST_TWO) -> str:
    """Import an area -> the import's id."""
    return str(import_area(database, project, ground, source="area.geojson", annotator="anna")["import"])


def test_everything_is_counted_within_the_area_alone(database: Database, project: ProjectView, tmp_path: Path) -> None:
    register_imagery(database, project, tile_folder(tmp_path / "tiles", *range(4)))
    shapes = [square(at) for at in (1, 25, 45, 65)]
    import_predictions(database, project, write(tmp_path / "p.geojson", shapes), model_name="m")
    undo = area(database, project)
    assert counted(database) == [0, 1]
    with database.write() as connection:
        anna = a_person(connection, "anna")
        status = status_of(connection, project)
        overview = overview_of(connection, project, anna)
        progress = progress_of(connection, project.id, anna)
        assert (sum(status["tiles"].values()), status["undecided"], status["outside_area"]) == (2, 2, 2)
        assert (overview.total_tiles, overview.classes[0].undecided) == (2, 2)
        assert (progress["tiles"]["total"], progress["features"]["total"]) == (2, 2)
        assert {cell.address.x - CORNER.x for cell in coverage_of(connection, project).cells} == {0, 1}
        assert {tile.x - CORNER.x for tile in choose_tiles(connection, project, TileChoice()).values()} == {0, 1}
        connection.execute(update(TileRow).where(TileRow.x < CORNER.x + 2).values(status="complete"))
        drawn = draw_next(connection, project, anna)
        assert drawn is not None
        assert drawn.drawn_by == "second_look"  # of those two, rather than an open tile outside
    undo_import(database, project, undo, "anna")
    assert counted(database) == [0, 1, 2, 3]


def test_imagery_makes_tiles_in_the_area_and_elsewhere_when_it_is_taken_back(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    first = area(database, project)
    answer = register_imagery(database, project, tile_folder(tmp_path / "tiles", *range(4)))
    assert (answer["tiles"], covered(database)) == (2, [0, 1])
    wider = area(database, project, block(3))
    assert covered(database) == counted(database) == [0, 1, 2]
    undo_import(database, project, wider, "anna")
    assert counted(database) == [0, 1]
    undo_import(database, project, first, "anna")
    assert covered(database) == counted(database) == [0, 1, 2, 3]


def test_a_server_needs_no_bounds_where_there_is_an_area(database: Database, project: ProjectView) -> None:
    undo = area(database, project)
    assert register_imagery(database, project, TEMPLATE, check=False)["tiles"] == 2
    wider = area(database, project, block(2, 2))
    assert len(tiles(database)) == 4
    assert undo_import(database, project, wider, "anna")["tiles_removed"] == 2
    undo_import(database, project, undo, "anna")
    assert len(tiles(database)) == 2


def test_features_outside_the_area_are_kept_and_not_asked_about(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    register_imagery(database, project, tile_folder(tmp_path / "tiles", *range(4)))
    area(database, project)
    shapes = [square(1), square(65), square(105)]
    import_predictions(database, project, write(tmp_path / "p.geojson", shapes), model_name="m")
    assert counted(database) == [0, 1]
    area(database, project, block(4))
    assert counted(database) == [0, 1, 2, 3]


def test_an_area_without_any_of_the_imagery_is_refused(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    register_imagery(database, project, tile_folder(tmp_path / "tiles", 0))
    with pytest.raises(InputError, match="has none of the project's imagery"):
        area(database, project, shapely.box(10, 10, 10.001, 10.001))
    with pytest.raises(InputError, match="at most 250,000 are allowed: cut it up"):
        area(database, project, shapely.box(10, 10, 12, 12))
    assert counted(database) == [0]


def test_a_file_of_lines_is_no_area(tmp_path: Path) -> None:
    with pytest.raises(VectorError, match="holds no polygon to be an area"):
        read_area(write(tmp_path / "a.geojson", [shapely.LineString([(0, 0), (1, 1)])]))
