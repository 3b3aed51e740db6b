import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from shapely.affinity import rotate
from shapely.geometry.base import BaseGeometry

from maploop.predict.centrelines import centrelines, middles
from maploop.predict.outlines import outlines, tidy


def mask_of(*areas: BaseGeometry, side: int = 120) -> NDArray[np.bool_]:
    canvas = Image.new("L", (side, side))
    for area in areas:
        ImageDraw.Draw(canvas).polygon((shapely.get_coordinates(area)[:-1] - 0.5).ravel().tolist(), fill=255)
    return np.asarray(canvas) > 0


def certain(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    return mask.astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(length=st.floats(20, 60), width=st.floats(12, 40), angle=st.floats(0, 180))
def test_a_rectangle_comes_back_as_four_corners(length: float, width: float, angle: float) -> None:
    real = rotate(shapely.box(60 - length / 2, 60 - width / 2, 60 + length / 2, 60 + width / 2), angle)
    mask = mask_of(real)
    [(found, score)] = outlines(mask, certain(mask), 10)
    assert len(found.exterior.coords) == 5
    assert found.intersection(real).area / found.union(real).area > 0.8
    assert score == 1.0


@pytest.mark.parametrize("angle", [0, 17, 45, 80])
def test_an_l_shaped_house_keeps_its_six_right_angles(angle: float) -> None:
    real = rotate(shapely.union(shapely.box(30, 30, 90, 55), shapely.box(30, 30, 52, 95)), angle, origin=(60, 60))
    mask = mask_of(real)
    [(found, _)] = outlines(mask, certain(mask), 10)
    edges = np.diff(shapely.get_coordinates(found.exterior), axis=0)
    following = np.roll(edges, -1, axis=0)
    assert len(edges) == 6
    assert np.abs((edges * following).sum(axis=1)).max() < 1e-6 * 90**2
    assert found.intersection(real).area / found.union(real).area > 0.88


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), blur=st.floats(1.0, 6.0))
def test_any_mask_gives_valid_polygons_that_stay_near_it(seed: int, blur: float) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((90, 90)), blur)
    mask = noise > np.percentile(noise, 70)
    for found, score in outlines(mask, certain(mask), 20):
        assert found.is_valid
        assert found.area > 5
        assert 0 < score <= 1


def test_houses_joined_by_a_thread_are_two() -> None:
    mask = mask_of(shapely.box(10, 20, 50, 60), shapely.box(60, 20, 100, 60), shapely.box(48, 38, 62, 41))
    assert len(outlines(mask, certain(mask), 10)) == 2


def test_an_empty_mask_gives_nothing() -> None:
    empty = np.zeros((40, 40), dtype=bool)
    assert outlines(empty, certain(empty), 1) == []
    assert centrelines(empty, certain(empty), 4, 10) == []
    assert middles(empty, certain(empty), 1) == []


def test_a_round_hut_stays_roundish() -> None:
    real = shapely.Point(60, 60).buffer(30)
    mask = mask_of(real)
    assert tidy(outlines(mask, certain(mask), 10)[0][0]).area == pytest.approx(real.area, rel=0.12)


def test_a_crossing_gives_four_lines_that_meet() -> None:
    real = [shapely.LineString([(0, 50), (120, 70)]), shapely.LineString([(60, 0), (50, 120)])]
    mask = mask_of(*(line.buffer(5) for line in real))
    found = [line for line, _ in centrelines(mask, certain(mask), 5, 20)]
    assert len(found) == 4
    union = shapely.union_all(found)
    for line in real:
        assert union.distance(line.interpolate(0.2, normalized=True)) < 2
        assert union.distance(line.interpolate(0.8, normalized=True)) < 2
    assert union.length == pytest.approx(240, rel=0.08)


def test_a_gap_as_long_as_a_car_is_closed() -> None:
    mask = mask_of(shapely.box(0, 50, 118, 60))
    mask[50:60, 58:61] = False
    assert len(centrelines(mask, certain(mask), 5, 20)) == 1


def test_the_middle_of_a_blob_is_where_it_is() -> None:
    mask = mask_of(shapely.Point(40, 70).buffer(4), shapely.box(1, 1, 2, 2))
    [(point, score)] = middles(mask, certain(mask), 9)
    assert point.distance(shapely.Point(40, 70)) < 0.8
    assert score == 1.0
