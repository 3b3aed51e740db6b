"""COCO and Label Studio: pixels and percent of known tiles become places on the ground."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from maploop.errors import VectorError
from maploop.imagery.tilemath import Tile, from_pixels, to_pixels
from maploop.vectors.formats.masks import runs_of_text, trace_mask
from maploop.vectors.geometry import GeometryType, iou
from maploop.vectors.read import read_features

WriteJson = Callable[..., Path]
Classes = dict[str, GeometryType]

TILE = Tile(19, 309613, 261632)
IMAGE = {"id": 1, "file_name": "OAM-309613-261632-19.png", "width": 512, "height": 512}
CATEGORIES = [{"id": 1, "name": "Building"}, {"id": 2, "name": "tree"}, {"id": 3, "name": "tap"}]
BOX = shapely.box(10, 20, 110, 70)
BOX_MASK = {"size": [8, 6], "counts": [8 + 2, 3, 5, 3, 5, 3, 5 + 14]}  # columns 1 to 3, rows 2 to 4


def coco(*annotations: dict[str, Any], images: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    rows = [{"id": number, "image_id": 1, "category_id": 1, **row} for number, row in enumerate(annotations)]
    return {"images": images or [IMAGE], "annotations": rows, "categories": CATEGORIES}


def in_pixels(geometry: BaseGeometry, size: int = 512) -> BaseGeometry:
    return to_pixels(geometry, TILE, size)


def test_coco_polygons_boxes_and_keypoints_land_on_their_tile(write_json: WriteJson, classes: Classes) -> None:
    flat = [10, 20, 110, 20, 110, 70, 10, 70]
    document = coco(
        {"segmentation": [flat], "score": 0.75},
        {"bbox": [10, 20, 100, 50]},
        {"segmentation": [flat, [200, 200, 220, 200, 220, 230]]},
        {"category_id": 3, "keypoints": [5, 6, 2, 0, 0, 0]},
    )
    table, report = read_features(write_json(document=document, name="coco.json"), classes=classes)
    assert (report.read, report.skipped) == (4, [])
    assert table.rows.tolist() == [0, 1, 2, 3]
    assert list(table.class_names) == ["building"] * 3 + ["tap"]
    for place in (0, 1):
        assert in_pixels(table.geometries[place]).equals_exact(BOX, 1e-4, normalize=True)
    triangle = shapely.Polygon([(200, 200), (220, 200), (220, 230)])
    assert in_pixels(table.geometries[2]).equals_exact(shapely.MultiPolygon([BOX, triangle]), 1e-4, normalize=True)
    assert in_pixels(table.geometries[3]).equals_exact(shapely.Point(5, 6), 1e-4)
    assert table.scores[0] == 0.75
    assert table.properties[0]["image"] == IMAGE["file_name"]


def test_coco_sizes_scale_to_the_tile(write_json: WriteJson, classes: Classes) -> None:
    document = coco({"bbox": [20, 10, 200, 25]}, images=[{**IMAGE, "width": 1024, "height": 256}])
    table, _ = read_features(write_json(document=document, name="coco.json"), classes=classes)
    assert in_pixels(table.geometries[0]).equals_exact(BOX, 1e-4, normalize=True)


def test_run_length_masks_are_traced_whether_plain_or_compressed(write_json: WriteJson, classes: Classes) -> None:
    expected = shapely.box(1, 2, 4, 5)
    assert trace_mask(BOX_MASK).equals(expected)
    assert trace_mask({"size": [8, 6], "counts": ":35000>"}).equals(expected)
    for width, height in ((6, 8), (512, 512)):  # the mask has its own size, whatever its image has
        document = coco({"segmentation": BOX_MASK}, images=[{**IMAGE, "width": width, "height": height}])
        table, report = read_features(write_json(document=document, name="coco.json"), classes=classes)
        assert report.skipped == []
        drawn = shapely.transform(in_pixels(table.geometries[0]), lambda points: points / 512 * (6, 8))
        assert drawn.equals_exact(expected, 1e-4, normalize=True)


def compressed(runs: list[int]) -> str:
    """The encoder of pycocotools (rleToString)."""
    text = ""
    for place, run in enumerate(runs):
        value = run - (runs[place - 2] if place > 2 else 0)
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text += chr(48 + bits + (0x20 if more else 0))
    return text


@given(st.lists(st.integers(0, 2**31), max_size=20))
def test_compressed_runs_decode_to_what_was_encoded(runs: list[int]) -> None:
    assert runs_of_text(compressed(runs)) == runs


def test_a_traced_mask_covers_what_it_was_made_of() -> None:
    rows, columns = np.mgrid[0:128, 0:128]
    mask = ((rows - 60) ** 2 + (columns - 50) ** 2 < 40**2) & ((rows - 60) ** 2 + (columns - 50) ** 2 > 15**2)
    column_major = mask.T.ravel().astype(np.int8)
    changes = np.flatnonzero(np.diff(column_major, prepend=0))
    counts = np.diff(np.concatenate([[0], changes, [column_major.size]])).tolist()
    ring = shapely.Point(50.5, 60.5).buffer(40).difference(shapely.Point(50.5, 60.5).buffer(15))
    traced = trace_mask({"size": [128, 128], "counts": counts})
    assert traced.intersection(ring).area / traced.union(ring).area > 0.95


def test_damaged_coco_rows_are_skipped_one_by_one(write_json: WriteJson, classes: Classes) -> None:
    other = {"id": 2, "file_name": "holiday.png", "width": 512, "height": 512}
    flat = {"id": 3, "file_name": "OAM-309613-261633-19.png", "width": 0, "height": 512}
    document = coco(
        {"bbox": [10, 20, 100, 50]},
        {"bbox": [10, 20, 100, 50], "category_id": 2},
        {"bbox": [10, 20, 100, 50], "image_id": 9},
        {"bbox": [10, 20, 100, 50], "image_id": 2},
        {"bbox": [10, 20, 100, 50], "image_id": 3},
        {"segmentation": {"size": [8, 6], "counts": [1, 2]}},
        {"segmentation": {"size": [10**9, 10**9], "counts": "abc"}},
        {"segmentation": [[1, 2, 3]]},
        {},
        images=[IMAGE, other, flat],
    )
    document["annotations"].append("nonsense")
    table, report = read_features(write_json(document=document, name="coco.json"), classes=classes)
    assert table.rows.tolist() == [0]
    reasons = [entry["reason"] for entry in report.skipped]
    assert reasons[0] == "class 'tree' is not one of building, road, tap"
    assert "is not listed" in reasons[1]
    assert "'holiday.png' does not say which tile" in reasons[2]
    assert "has no width and height" in reasons[3]
    assert "do not add up to 8 x 6" in reasons[4]
    assert "mask is damaged" in reasons[5]
    assert len(reasons) == 9


def test_coco_over_images_that_are_no_tiles_is_refused(write_json: WriteJson, classes: Classes) -> None:
    document = coco({"bbox": [1, 2, 3, 4]}, images=[{**IMAGE, "file_name": "holiday.png"}])
    with pytest.raises(VectorError, match=r"do not say which tiles they are \('holiday.png'\)"):
        read_features(write_json(document=document, name="coco.json"), classes=classes)
    with pytest.raises(VectorError, match="COCO without a list of categories"):
        read_features(write_json(document={"images": [], "annotations": []}, name="coco.json"), classes=classes)


def region(kind: str, label: str, **value: Any) -> dict[str, Any]:
    return {"type": kind, "value": {**value, kind: [label]}, "original_width": 512, "original_height": 512}


def percent(*pixels: float) -> list[float]:
    return [pixel / 5.12 for pixel in pixels]


def box_region(**extra: Any) -> dict[str, Any]:
    x, y, width, height = percent(10, 20, 100, 50)
    return region("rectanglelabels", "building", x=x, y=y, width=width, height=height, **extra)


DATA = {"image": "/data/local-files/?d=kampala/OAM-309613-261632-19.png"}


def test_label_studio_regions_land_on_their_tile(write_json: WriteJson, classes: Classes) -> None:
    corners = [percent(*corner) for corner in ((10, 20), (110, 20), (110, 70), (10, 70))]
    tap = percent(5, 6)
    road = [dict(zip("xy", percent(*place), strict=True)) for place in ((0, 0), (100, 100))]
    task = {
        "id": 5,
        "data": DATA,
        "annotations": [
            {
                "result": [
                    region("polygonlabels", "building", points=corners),
                    box_region(),
                    region("keypointlabels", "tap", x=tap[0], y=tap[1]),
                    region("vectorlabels", "road", vertices=road),
                    {"type": "choices", "value": {"choices": ["blurred"]}},
                ]
            }
        ],
    }
    table, report = read_features(write_json(document=[task], name="tasks.json"), classes=classes)
    assert list(table.class_names) == ["building", "building", "tap", "road"]
    for place in (0, 1):
        assert in_pixels(table.geometries[place]).equals_exact(BOX, 1e-4, normalize=True)
    assert in_pixels(table.geometries[2]).equals_exact(shapely.Point(5, 6), 1e-4)
    assert in_pixels(table.geometries[3]).equals_exact(shapely.LineString([(0, 0), (100, 100)]), 1e-4)
    assert report.skipped == [{"row": 4, "reason": "field 'label' names no class"}] or (
        report.skipped == [{"row": 4, "reason": "'choices' is not a shape on the map"}]
    )


def test_a_turned_rectangle_turns_in_pixels_about_its_corner(write_json: WriteJson, classes: Classes) -> None:
    turned = {**box_region(rotation=90), "original_width": 512, "original_height": 512}
    task = {"data": DATA, "annotations": [{"result": [turned]}]}
    table, _ = read_features(write_json(document=[task], name="tasks.json"), classes=classes)
    expected = from_pixels(shapely.box(-40, 20, 10, 120), TILE, 512)
    assert iou(table.geometries[0], expected) == pytest.approx(1, abs=1e-6)


def test_a_task_is_read_once_however_many_answers_it_has(write_json: WriteJson, classes: Classes) -> None:
    answered = {
        "data": DATA,
        "annotations": [
            {"result": [box_region()]},
            {"result": [box_region()]},
            {"result": [box_region()], "was_cancelled": True},
        ],
        "predictions": [{"result": [box_region()], "score": 0.4}],
    }
    predicted = {"data": DATA, "annotations": [], "predictions": [{"result": [box_region()], "score": 0.4}]}
    path = write_json(document=[answered, predicted], name="tasks.json")
    table, report = read_features(path, classes=classes)
    assert table.rows.tolist() == [1, 4]
    assert [row["source"] for row in table.properties] == ["annotation", "prediction"]
    np.testing.assert_allclose(table.scores, [np.nan, 0.4])
    assert {entry["reason"] for entry in report.skipped} == {"another answer of its task was read in its place"}


@pytest.mark.parametrize(
    "image",
    [
        "OAM-309613-261632-19.png",
        "https://tiles.example/19/309613/261632.png?token=abc",
        "s3://bucket/19/309613/261632.png",
        "/data/upload/3/5f0c-OAM-309613-261632-19.png",
        "/data/local-files/?d=deep%2F19%2F309613%2F261632.png",
    ],
)
def test_the_tile_is_found_in_any_form_of_image_path(image: str, write_json: WriteJson, classes: Classes) -> None:
    task = {"data": {"title": "", "img": image}, "predictions": [{"result": [box_region()]}]}
    table, _ = read_features(write_json(document=[task], name="tasks.json"), classes=classes)
    assert in_pixels(table.geometries[0]).equals_exact(BOX, 1e-4, normalize=True)


def test_tasks_without_tiles_are_refused(write_json: WriteJson, classes: Classes) -> None:
    task = {"data": {"image": "holiday.png"}, "annotations": [{"result": [box_region()]}]}
    with pytest.raises(VectorError, match="do not say which tiles their images are"):
        read_features(write_json(document=[task], name="tasks.json"), classes=classes)
