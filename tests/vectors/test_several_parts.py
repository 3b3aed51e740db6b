"""Features of several parts stay one feature: read, cut at tiles, evaluated and written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import pyogrio
import pytest
import shapely

from maploop.evaluate.files import evaluate_files
from maploop.evaluate.matching import Rules
from maploop.imagery.tilemath import Tile, from_pixels, to_pixels
from maploop.vectors.geometry import GeometryType, clip_to_tile
from maploop.vectors.read import read_features
from maploop.vectors.write import VectorFormat, write_features

WriteJson = Callable[..., Path]
Feature = Callable[..., dict[str, Any]]
Classes = dict[str, GeometryType]

TILE = Tile(19, 309613, 261632)


def pixels(geometry: Any) -> Any:
    return from_pixels(geometry, TILE, 512)


HOUSE = shapely.MultiPolygon([shapely.box(10, 20, 110, 70), shapely.box(300, 20, 360, 70)])
ROAD = shapely.MultiLineString([[(0, 200), (100, 200)], [(300, 200), (400, 220)]])


def test_a_row_of_several_parts_is_one_feature(write_json: WriteJson, make_feature: Feature, classes: Classes) -> None:
    across = shapely.MultiPolygon([shapely.box(10, 20, 110, 70), shapely.box(100, 20, 200, 70)])
    wells = shapely.MultiPoint([(5, 5), (9, 9)])
    path = write_json(*(make_feature(pixels(each)) for each in (HOUSE, ROAD, across, wells)))
    table, report = read_features(path, classes=classes)
    assert table.rows.tolist() == [0, 1, 2, 3, 3], "a point stands for one thing: two points are two features"
    assert list(table.class_names) == ["building", "road", "building", "tap", "tap"]
    assert [each.geom_type for each in table.geometries[:3]] == ["MultiPolygon", "MultiLineString", "Polygon"]
    assert to_pixels(table.geometries[2], TILE, 512).area == pytest.approx(190 * 50)
    assert report.repaired == [{"row": 2, "how": "parts that overlap made one"}]


def test_a_row_of_more_parts_than_a_feature_may_have_says_what_to_do(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    town = shapely.MultiPolygon([shapely.box(x, y, x + 0.5, y + 0.5) for x in range(60) for y in range(60)])
    stars = shapely.MultiLineString([[(x, 0), (100 - x, 100)] for x in range(100)])
    path = write_json(make_feature(pixels(town)), make_feature(pixels(stars)), make_feature(pixels(HOUSE)))
    table, report = read_features(path, classes=classes)
    assert table.rows.tolist() == [2]
    assert [each["reason"] for each in report.skipped] == [
        "its 3,600 parts have 18,000 vertices, more than 10,000: make each part a row",
        "its 100 parts cross more than 1,000 times",
    ]


def test_parts_are_cut_at_tiles_one_by_one() -> None:
    reaching = shapely.MultiPolygon([shapely.box(500, 20, 530, 70), shapely.box(300, 20, 301, 21)])
    inside, speck = clip_to_tile(pixels(reaching), TILE)
    assert to_pixels(inside, TILE, 512).area == pytest.approx(12 * 50)
    assert to_pixels(speck, TILE, 512).area == pytest.approx(1), "no border cut it: it is no sliver"


def test_two_files_are_compared_by_features_not_by_parts(write_json: WriteJson, make_feature: Feature) -> None:
    truth = write_json(make_feature(pixels(HOUSE)), name="truth.geojson")
    flat = [10, 20, 110, 20, 110, 70, 10, 70]
    found = {
        "images": [{"id": 1, "file_name": f"{TILE}.png", "width": 512, "height": 512}],
        "categories": [{"id": 1, "name": "polygon"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": [flat, [300, 20, 360, 20, 360, 70, 300, 70]],
                "score": 0.9,
            }
        ],
    }
    evaluation, _ = evaluate_files(truth, write_json(document=found, name="found.json"), Rules())
    assert (evaluation.overall.tp, evaluation.overall.fp, evaluation.overall.fn) == (1, 0, 0)


@pytest.mark.parametrize(
    ("format", "suffix"),
    [("geojson", "geojson"), ("geopackage", "gpkg"), ("geoparquet", "parquet"), ("flatgeobuf", "fgb")],
)
def test_what_is_written_is_read_back_as_one_feature(
    format: VectorFormat, suffix: str, tmp_path: Path, classes: Classes
) -> None:
    shapes = [pixels(HOUSE), pixels(shapely.box(1, 1, 9, 9)), pixels(ROAD)]
    frame = geopandas.GeoDataFrame({"class": ["building", "building", "road"]}, geometry=shapes, crs="EPSG:4326")
    path = tmp_path / f"written.{suffix}"
    write_features(frame, path, format)
    table, report = read_features(path, classes=classes)
    assert report.skipped == []
    assert sorted(shapely.get_num_geometries(table.geometries).tolist()) == [1, 2, 2]
    if format == "geopackage":
        assert {kind for _, kind in pyogrio.list_layers(path)} == {"MultiPolygon", "MultiLineString"}
