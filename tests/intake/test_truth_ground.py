"""Known truth completes the ground it covers: its area, the pictures it lists, or the inside of its extent."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import shapely

from maploop.database import Database
from maploop.dataset.datasets import freeze
from maploop.dataset.export import export
from maploop.errors import VectorError
from maploop.imagery.register import register_imagery
from maploop.imagery.register_area import import_area
from maploop.imagery.tilemath import Tile
from maploop.predict.file import import_predictions
from maploop.project import ProjectView, create_project
from maploop.review.truth import import_annotations
from tests.builders import CORNER, a_tile, some_imagery
from tests.intake.files import block, features, square, tiles, write
from tests.intake.test_imagery import tile_folder

Place = tuple[int, int]


@pytest.fixture
def town(database: Database, project: ProjectView) -> ProjectView:
    """The project with imagery of 6 x 6 tiles."""
    with database.write() as connection:
        local = some_imagery(connection, project, kind="geotiff", location="/town.tif")
        for column in range(6):
            for row in range(6):
                a_tile(connection, project, column, row, imagery_id=local)
    return project


def houses(places: Iterable[Place]) -> list[Any]:
    """Four houses on each tile, in its corners."""
    return [square(20 * x + at, 20 * y + down) for x, y in places for at in (2, 16) for down in (2, 16)]


def know(database: Database, project: ProjectView, path: Path, **options: Any) -> dict[str, Any]:
    return import_annotations(database, project, path, annotator="anna", **options)


def complete(database: Database) -> set[Place]:
    """Complete tiles, counted from the corner tile."""
    rows = tiles(database).items()
    return {(tile.x - CORNER.x, tile.y - CORNER.y) for tile, row in rows if row.status == "complete"}


def square_of(side: int, start: int = 0) -> set[Place]:
    return {(x, y) for x in range(start, start + side) for y in range(start, start + side)}


def test_tiles_across_the_street_where_a_file_ends_stay_open(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    mapped = {(x, y) for x in range(3) for y in range(6)}
    across = [square(62, 20 * y + 5) for y in range(6)]  # one house each, on the fourth column
    answer = know(database, town, write(tmp_path / "t.geojson", [*houses(mapped), *across]))
    assert complete(database) == mapped
    assert (answer["completed"], answer["left_open"], answer["at_rim"], answer["basis"]) == (18, 6, 6, "extent")
    assert answer["advice"].startswith("6 tiles were left open, as the file may cover them in part only: import it")


def test_a_file_that_ends_within_a_tile_leaves_it_open(database: Database, town: ProjectView, tmp_path: Path) -> None:
    answer = know(database, town, write(tmp_path / "t.geojson", houses(square_of(4, 1))))
    assert complete(database) == square_of(2, 2)  # all around, the imagery goes on and the file does not
    assert answer["at_rim"] == 12


def test_where_imagery_ends_too_a_file_must_reach_its_end(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    inner = [square(20 * x + 12, 20 * y + 8) for x in range(6) for y in range(6)]  # nothing in the western halves
    know(database, town, write(tmp_path / "t.geojson", inner))
    assert complete(database) == {(x, y) for x in range(1, 6) for y in range(6)}


def test_a_hole_that_the_file_encloses_counts_as_looked_at_only_when_it_is_small(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    answer = know(database, town, write(tmp_path / "t.geojson", houses(square_of(6) - {(2, 2)})))
    assert complete(database) == square_of(6) - {(2, 2)}  # the hole itself may be empty, or not
    assert answer["at_rim"] == 0
    know(database, town, write(tmp_path / "t.geojson", houses(square_of(6) - {(2, 2)})), complete_all=True)
    assert complete(database) == square_of(6)


def test_a_large_hole_is_an_edge(database: Database, town: ProjectView, tmp_path: Path) -> None:
    know(database, town, write(tmp_path / "t.geojson", houses(square_of(6) - square_of(3, 1))))
    assert complete(database) == {(5, y) for y in range(6)} | {(x, 5) for x in range(6)}


def test_within_a_stated_area_empty_tiles_are_complete_and_cut_ones_are_not(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    west, south, east, north = block(3, 2).bounds
    area = shapely.box(west, south, east - (east - west) / 9, north)  # a third of the last column is missing
    answer = know(database, town, write(tmp_path / "t.geojson", houses([(0, 0), (2, 0)])), area=area)
    assert complete(database) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert (answer["completed"], answer["empty"], answer["at_rim"], answer["basis"]) == (4, 3, 1, "area")
    assert "do not lie wholly within the area" in answer["advice"]


def test_an_area_drawn_along_tiles_to_six_decimals_holds_them(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    area = shapely.set_precision(block(2, 2), 1e-6)
    know(database, town, write(tmp_path / "t.geojson", houses([(0, 0)])), area=area)
    assert complete(database) == square_of(2)


def test_the_projects_area_is_taken_for_stated_by_a_file_that_fills_it(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    import_area(database, town, block(4, 4), source="area.geojson")
    beyond = (square_of(4) - {(0, 0), (1, 2), (2, 2)}) | {(4, 4)}
    answer = know(database, town, write(tmp_path / "t.geojson", houses(beyond)))
    assert (answer["basis"], answer["empty"]) == ("project_area", 3)
    assert complete(database) == square_of(4)


@pytest.mark.parametrize(
    "mapped",
    [
        {(0, 0), (5, 5)},
        square_of(6) - {(x, 2) for x in range(5)},
        {(x, y) for x, y in square_of(6) if 2 in (x % 3, y % 3)},
    ],
    ids=["two corners", "a gap of five tiles", "many small gaps"],
)
def test_a_file_with_little_between_the_ends_of_the_projects_area_does_not_complete_it(
    database: Database, town: ProjectView, tmp_path: Path, mapped: set[Place]
) -> None:
    import_area(database, town, block(6, 6), source="area.geojson")
    answer = know(database, town, write(tmp_path / "t.geojson", houses(mapped)))
    assert (answer["basis"], answer["empty"]) == ("extent", 0)
    assert complete(database) < mapped


def test_a_file_that_ends_within_the_projects_area_does_not_complete_the_rest(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    import_area(database, town, block(6, 3), source="area.geojson")
    mapped = {(x, y) for x in range(3) for y in range(3)}
    answer = know(database, town, write(tmp_path / "t.geojson", houses(mapped)))
    assert answer["basis"] == "extent"
    assert complete(database) == {(x, y) for x in range(2) for y in range(3)}


def coco(path: Path, images: list[Tile], boxes: dict[int, list[float]]) -> Path:
    """A COCO file over pictures of tiles of 256 px, with a box on some of them."""
    document = {
        "images": [
            {"id": number, "file_name": f"{tile}.png", "width": 256, "height": 256}
            for number, tile in enumerate(images)
        ],
        "annotations": [
            {"id": number, "image_id": image, "category_id": 1, "bbox": box}
            for number, (image, box) in enumerate(boxes.items())
        ],
        "categories": [{"id": 1, "name": "building"}],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_picture_without_annotations_is_an_empty_tile_that_was_looked_at(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    register_imagery(database, project, tile_folder(tmp_path / "tiles", 0, 1, 2), licence="CC0")
    east = Tile(CORNER.z, CORNER.x + 1, CORNER.y)
    path = coco(tmp_path / "t.json", [CORNER, east], {0: [64, 64, 64, 32]})
    answer = know(database, project, path)
    assert (answer["completed"], answer["empty"], answer["basis"]) == (2, 1, "images")
    assert complete(database) == {(0, 0), (1, 0)}
    dataset = freeze(database, project, tiles="complete", annotator="anna")
    examples = sum(
        file.examples
        for split in ("train", "validation", "test")
        for file in export(database, dataset.id, "openai", tmp_path / split, split=split).files
    )
    assert examples == 2


def test_pictures_without_any_annotation_at_all_are_truth_too(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    answer = know(database, project, coco(tmp_path / "t.json", [CORNER], {}))
    assert (answer["imported"], answer["completed"], answer["empty"]) == (0, 1, 1)


def test_pictures_whose_annotations_are_all_of_other_classes_are_not_empty(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    path = coco(tmp_path / "t.json", [CORNER], {0: [64, 64, 64, 32]})
    path.write_text(path.read_text(encoding="utf-8").replace("building", "house"), encoding="utf-8")
    with pytest.raises(VectorError, match="none of its 1 rows can be imported"):
        know(database, project, path)
    assert tiles(database) == {}


def test_a_finished_task_with_an_empty_result_is_an_empty_tile(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    east = Tile(CORNER.z, CORNER.x + 1, CORNER.y)
    region = {
        "type": "rectanglelabels",
        "value": {"x": 25, "y": 25, "width": 25, "height": 12.5, "rectanglelabels": ["building"]},
    }
    tasks = [
        {"id": 1, "data": {"image": f"{CORNER}.png"}, "annotations": [{"result": [region]}]},
        {"id": 2, "data": {"image": f"{east}.png"}, "annotations": [{"result": []}]},
    ]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    answer = know(database, project, path)
    assert (answer["completed"], answer["empty"]) == (2, 1)
    assert complete(database) == {(0, 0), (1, 0)}


def test_pictures_of_other_zooms_complete_the_tiles_they_cover_wholly(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    children = list(CORNER.children(CORNER.z + 1))
    beside = list(Tile(CORNER.z, CORNER.x + 1, CORNER.y).children(CORNER.z + 1))[:3]
    far = Tile(CORNER.z, CORNER.x + 8, CORNER.y).parent(CORNER.z - 1)
    answer = know(database, project, coco(tmp_path / "t.json", [*children, *beside, far], {}))
    assert answer["completed"] == 1 + 4
    assert {tile.parent(far.z) for tile in tiles(database) if tile.x > CORNER.x + 1} == {far}


def test_our_own_coco_comes_back_whole(database: Database, project: ProjectView, tmp_path: Path) -> None:
    with database.write() as connection:
        other = create_project(connection, "Other", [("building", "polygon")], zoom=19)
    register_imagery(database, project, tile_folder(tmp_path / "tiles", *range(6)), licence="CC0")
    know(database, project, write(tmp_path / "t.geojson", houses([(1, 0), (3, 0)])), area=block(6))
    dataset = freeze(database, project, tiles="complete", annotator="anna")
    found = export(database, dataset.id, "coco", tmp_path / "coco")
    files = [path for path in found.path.glob("*.json") if json.loads(path.read_bytes()).get("images")]
    answers = [know(database, other, path) for path in files]
    assert sum(answer["completed"] for answer in answers) == 6
    assert sum(answer["empty"] for answer in answers) == 4
    assert sum(answer["imported"] for answer in answers) == 8


def test_a_prediction_with_its_middle_off_the_covered_ground_is_not_rejected(
    database: Database, town: ProjectView, tmp_path: Path
) -> None:
    inside, across = square(30, 5), square(39.9, 5, size=6)  # the second has 2 % of its area on the second tile
    found = write(tmp_path / "p.geojson", [inside, across])
    import_predictions(database, town, found, model_name="m", annotator="anna", class_name="building")
    answer = know(database, town, write(tmp_path / "t.geojson", houses([(0, 0)])), area=block(2))
    assert [row.verdict for row in features(database)[:2]] == ["reject", None]
    assert (answer["rejected"], complete(database)) == (1, {(0, 0)})  # it asks on the second tile, which stays open
