"""Truth of one half of a real town, imported over imagery of both halves, completes that half only."""

import json
from pathlib import Path

import pytest
import shapely

from maploop.database import Database
from maploop.imagery.register import register_imagery
from maploop.imagery.tilemath import Tile
from maploop.project import create_project
from maploop.review.truth import import_annotations
from tests.intake.files import tiles

BANEPA = Path(__file__).parents[3] / "shared" / "data" / "banepa"
ROWS = range(220_241, 220_249)
WEST = (386_690, 386_691)
ALL = (*WEST, 386_692, 386_693)


@pytest.fixture
def banepa() -> Path:
    """The folder of tiles and outlines; skips where it is not."""
    if not BANEPA.is_dir():
        pytest.skip(f"{BANEPA} is not there")
    return BANEPA


@pytest.mark.parametrize("stated", [True, False], ids=["with its area", "without an area"])
def test_truth_of_the_western_half_completes_the_western_tiles_only(
    sqlite_database: Database, banepa: Path, tmp_path: Path, stated: bool
) -> None:
    with sqlite_database.write() as connection:
        project = create_project(connection, "Banepa", [("building", "polygon")], zoom=19)
    assert register_imagery(sqlite_database, project, banepa)["tiles"] == 32
    half = shapely.union_all([Tile(19, x, y).polygon for x in WEST for y in ROWS])
    document = json.loads((banepa / "labels.geojson").read_bytes())
    document["features"] = [
        each for each in document["features"] if half.buffer(-1e-7).intersects(shapely.geometry.shape(each["geometry"]))
    ]
    path = tmp_path / "west.geojson"
    path.write_text(json.dumps(document), encoding="utf-8")
    answer = import_annotations(
        sqlite_database,
        project,
        path,
        annotator="osm",
        class_name="building",
        area=half if stated else None,
    )
    complete = {tile for tile, row in tiles(sqlite_database).items() if row.status == "complete"}
    assert complete == {Tile(19, x, y) for x in WEST for y in ROWS}
    assert answer["left_open"] == answer["at_rim"] > 8


def test_outlines_of_all_tiles_complete_those_and_none_beyond(sqlite_database: Database, banepa: Path) -> None:
    with sqlite_database.write() as connection:
        project = create_project(connection, "Banepa", [("building", "polygon")], zoom=19)
    register_imagery(sqlite_database, project, banepa)
    path = banepa / "labels.geojson"
    answer = import_annotations(sqlite_database, project, path, annotator="osm", class_name="building")
    complete = {tile for tile, row in tiles(sqlite_database).items() if row.status == "complete"}
    assert complete == {Tile(19, x, y) for x in ALL for y in ROWS}
    assert (answer["tiles"], answer["completed"], answer["at_rim"]) == (58, 32, 26)
