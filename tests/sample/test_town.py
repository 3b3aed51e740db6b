from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds
from shapely.geometry.base import BaseGeometry

from maploop.errors import InputError
from maploop.imagery.tilemath import count_tiles_covering
from maploop.sample.paint import Painter
from maploop.sample.place import ATTRIBUTION, CLASSES, SAMPLE_CRS, SAMPLE_ZOOM, raster_transform
from maploop.sample.plan import Plan
from maploop.sample.town import Town, checked_plan, make_town, paint_plan, truth_in_degrees, truth_in_pixels


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return make_town(tmp_path_factory.mktemp("town"), seed=7, size=1024)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return checked_plan(7, 1024)


@pytest.fixture(scope="module")
def picture(plan: Plan) -> NDArray[np.uint8]:
    return paint_plan(plan)


def filled(shape: tuple[int, int], areas: Sequence[BaseGeometry]) -> NDArray[np.bool_]:
    """The pixels inside some polygons."""
    canvas = Image.new("L", (shape[1], shape[0]))
    draw = ImageDraw.Draw(canvas)
    for area in areas:
        for part in shapely.get_parts(area):
            if part.geom_type == "Polygon" and not part.is_empty:
                draw.polygon((shapely.get_coordinates(part.exterior) - 0.5).ravel().tolist(), fill=255)
    return np.asarray(canvas) > 0


def test_the_same_seed_and_size_give_the_same_bytes(town: Town, tmp_path: Path) -> None:
    again = make_town(tmp_path, seed=7, size=1024)
    assert again.imagery.read_bytes() == town.imagery.read_bytes()
    assert [f.geometry.wkb for f in again.truth] == [f.geometry.wkb for f in town.truth]


def test_another_seed_gives_another_town(town: Town, tmp_path: Path) -> None:
    other = make_town(tmp_path, seed=8, size=1024)
    assert other.imagery.read_bytes() != town.imagery.read_bytes()
    assert [f.geometry.wkb for f in other.truth] != [f.geometry.wkb for f in town.truth]


def test_the_imagery_is_a_georeferenced_cog(town: Town) -> None:
    with rasterio.open(town.imagery) as raster:
        assert raster.crs == SAMPLE_CRS
        assert (raster.width, raster.height, raster.count, raster.dtypes[0]) == (1024, 1024, 3, "uint8")
        assert raster.res == pytest.approx((0.1494, 0.1484), abs=2e-4)
        assert raster.block_shapes[0] == (512, 512)
        assert raster.overviews(1) == [2]
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.tags()["ATTRIBUTION"] == ATTRIBUTION


@pytest.mark.parametrize("size", [512, 1024, 3072, 4096, 16384])
def test_a_town_of_whole_tiles_touches_no_other_tile(size: int) -> None:
    bounds = transform_bounds(SAMPLE_CRS, "EPSG:4326", *array_bounds(size, size, raster_transform(size)))
    assert count_tiles_covering(bounds, SAMPLE_ZOOM) == (size // 512) ** 2


def test_the_truth_is_valid_lies_on_the_picture_and_has_every_class(town: Town) -> None:
    with rasterio.open(town.imagery) as raster:
        frame = shapely.box(*transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)).buffer(1e-9)
    assert {f.class_name for f in town.truth} == set(CLASSES)
    kinds = {"polygon": "Polygon", "line": "LineString", "point": "Point"}
    for feature in town.truth:
        assert feature.geometry.is_valid
        assert frame.covers(feature.geometry)
        assert feature.geometry.geom_type == kinds[CLASSES[feature.class_name]]


@pytest.mark.parametrize(("seed", "size"), [(1, 3072), (0, 256), (2, 1536)])
def test_the_truth_of_any_seed_is_valid_in_pixels_and_in_degrees(seed: int, size: int) -> None:
    other = checked_plan(seed, size)
    for feature in (*truth_in_pixels(other), *truth_in_degrees(other)):
        assert feature.geometry.is_valid, feature


def test_the_truth_of_the_file_is_the_truth_of_the_pixels(town: Town, plan: Plan) -> None:
    with rasterio.open(town.imagery) as raster:
        inverse = ~raster.transform
    for pixels, degrees in zip(truth_in_pixels(plan), town.truth, strict=True):
        x, y = degrees.geometry.centroid.coords[0]
        east, north = rasterio.warp.transform("EPSG:4326", SAMPLE_CRS, [x], [y])
        assert inverse @ (east[0], north[0]) == pytest.approx(pixels.geometry.centroid.coords[0], abs=0.05)


def test_buildings_do_not_overlap(plan: Plan) -> None:
    buildings = [f.geometry for f in truth_in_pixels(plan) if f.class_name == "building"]
    tree = shapely.STRtree(buildings)
    first, second = tree.query(buildings, predicate="overlaps")
    assert not [(i, j) for i, j in zip(first, second, strict=True) if i < j]


def test_roofs_look_unlike_the_ground_around_them(plan: Plan, picture: NDArray[np.uint8]) -> None:
    buildings = [f.geometry for f in truth_in_pixels(plan) if f.class_name == "building"]
    differences = []
    for building in buildings:
        inside = picture[filled(picture.shape[:2], [building.buffer(-3)])]
        around = picture[filled(picture.shape[:2], [building.buffer(14)]) & ~filled(picture.shape[:2], buildings)]
        if len(inside) and len(around):
            differences.append(np.abs(inside.mean(axis=0) - around.mean(axis=0)).max())
    assert len(differences) > 30
    assert np.median(differences) > 30
    assert np.mean(np.array(differences) > 12) > 0.9


def test_tarmac_is_grey_and_footpaths_are_brighter_than_what_they_cross(plan: Plan, picture: NDArray[np.uint8]) -> None:
    truth = truth_in_pixels(plan)
    tarmac = [f.geometry.buffer(8) for f in truth if f.properties.get("surface") == "tarmac"]
    colours = picture[filled(picture.shape[:2], tarmac)].astype(int)
    assert np.median(np.ptp(colours, axis=1)) < 20
    paths = [f.geometry for f in truth if f.class_name == "path"]
    on = picture[filled(picture.shape[:2], [p.buffer(2) for p in paths])].mean()
    beside = filled(picture.shape[:2], [p.buffer(24) for p in paths])
    beside &= ~filled(picture.shape[:2], [p.buffer(10) for p in paths])
    assert on > picture[beside].mean() + 10


def test_a_window_looks_the_same_however_the_rest_is_cut(plan: Plan) -> None:
    painter = Painter(plan)
    whole = painter.window(100, 200, 400, 300).astype(int)
    part = painter.window(300, 350, 100, 100).astype(int)
    difference = np.abs(whole[150:250, 200:300] - part)  # the grain of the sensor differs, what is seen does not
    assert difference.mean() < 4
    assert np.percentile(difference, 99.9) < 24


@pytest.mark.parametrize("size", [256, 700])
def test_sizes_that_are_not_whole_tiles_work_too(size: int, tmp_path: Path) -> None:
    town = make_town(tmp_path, seed=3, size=size)
    with rasterio.open(town.imagery) as raster:
        assert (raster.width, raster.height) == (size, size)
        assert raster.read().std() > 15


@pytest.mark.parametrize(("seed", "size"), [(1, 100), (1, 10**6), (-1, 512), (2**31, 512)])
def test_impossible_towns_are_refused_by_name(seed: int, size: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"for a town: choose"):
        make_town(tmp_path / "town", seed=seed, size=size)
    assert not (tmp_path / "town").exists()


def test_a_town_leaves_one_file_and_no_scraps(town: Town) -> None:
    assert [path.name for path in town.imagery.parent.iterdir()] == ["town-7-1024.tif"]
