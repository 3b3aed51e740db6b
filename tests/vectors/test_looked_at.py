"""Which tiles a file says were looked at: images and tasks with features and without."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from maploop.imagery.tilemath import Tile
from maploop.vectors.geometry import GeometryType
from maploop.vectors.read import read_features

WriteJson = Callable[..., Path]
Classes = dict[str, GeometryType]

FIRST, SECOND, THIRD = Tile(19, 309613, 261632), Tile(19, 309614, 261632), Tile(19, 309615, 261632)
CATEGORIES = [{"id": 1, "name": "building"}, {"id": 2, "name": "tree"}]


def coco(*annotations: dict[str, Any]) -> dict[str, Any]:
    images = [
        {"id": number, "file_name": f"{tile}.png", "width": 512, "height": 512}
        for number, tile in enumerate((FIRST, SECOND, THIRD), start=1)
    ]
    rows = [{"id": number, "category_id": 1, **row} for number, row in enumerate(annotations)]
    return {"images": images, "annotations": rows, "categories": CATEGORIES}


def test_a_coco_image_without_annotations_was_looked_at(write_json: WriteJson, classes: Classes) -> None:
    document = coco({"image_id": 1, "bbox": [10, 20, 100, 50]})
    table, report = read_features(write_json(document=document), classes=classes)
    assert len(table) == 1
    assert report.looked_at == [FIRST, SECOND, THIRD]


def test_a_tile_that_lacks_a_feature_was_not_looked_at_as_a_whole(write_json: WriteJson, classes: Classes) -> None:
    document = coco(
        {"image_id": 1, "segmentation": {"size": [8, 6], "counts": [1, 2]}},
        {"image_id": 2, "category_id": 2, "bbox": [10, 20, 100, 50]},
        {"image_id": 3, "bbox": [10, 20, 0, 0]},
    )
    _, report = read_features(write_json(document=document), classes=classes)
    assert report.looked_at == [SECOND], "trees are not asked for, a damaged mask and a box without area are"


def task(tile: Tile, *answers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"data": {"image": f"{tile}.png"}, "annotations": list(answers), **more}


def test_a_finished_task_without_regions_was_looked_at(write_json: WriteJson, classes: Classes) -> None:
    box = {
        "type": "rectanglelabels",
        "value": {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["building"]},
    }
    blurred = {"type": "choices", "value": {"choices": ["blurred"]}}
    document = [
        {"data": {"image": "19/309612/261632.png"}},
        task(FIRST, {"result": [box]}, {"result": [box]}),
        task(SECOND, {"result": [blurred]}),
        task(THIRD, {"result": []}),
        task(Tile(19, 309616, 261632), {"result": [box], "was_cancelled": True}),
        task(Tile(19, 309617, 261632), predictions=[{"result": [box]}]),
    ]
    table, report = read_features(write_json(document=document), classes=classes)
    assert len(table) == 2
    assert report.looked_at == [FIRST, SECOND, THIRD]
    assert [each["reason"] for each in report.skipped] == [
        "another answer of its task was read in its place",
        "'choices' is not a shape on the map",
        "its annotation was skipped (cancelled)",
    ]


def test_a_file_of_map_features_lists_no_tiles(write_json: WriteJson, classes: Classes) -> None:
    assert read_features(write_json(), classes=classes)[1].looked_at == []
