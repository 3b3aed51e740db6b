"""Geometry -> answer -> geometry stays within one unit of every dialect, in x and y, and what comes back is valid."""

import math
import random

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from maploop.contract import DIALECTS, contract_of, parse_answer, render_answer
from maploop.imagery.tilemath import Tile, from_pixels, to_pixels
from maploop.project import ProjectView
from tests.contract.distances import are_within

TILE = Tile(19, 309_611, 261_632)  # Kampala
SIZE = 512.0
ROUNDING = 1e-2  # units; degrees to pixels and back

inside = st.floats(0.0, SIZE, allow_nan=False)
positions = st.tuples(inside, inside)


@st.composite
def stars(draw: st.DrawFn) -> BaseGeometry:
    """Outlines around a middle, half of them with a hole, from tiny to the whole tile."""
    x, y = draw(positions)
    corners = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(0.05, 300.0), min_size=corners, max_size=corners))
    turn = draw(st.floats(0, math.tau))
    angles = [turn + math.tau * index / corners for index in range(corners)]
    ring = [(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    share = draw(st.floats(0.1, 0.99))
    hole = [(x + (bx - x) * share, y + (by - y) * share) for bx, by in ring]
    return shapely.Polygon(ring, [hole] if draw(st.booleans()) else [])


def ribbons(least: float, most: float) -> st.SearchStrategy[BaseGeometry]:
    """Outlines along a line, so wide."""
    along = st.lists(positions, min_size=2, max_size=5).map(shapely.LineString).filter(lambda line: line.length > 0.01)
    return st.builds(
        lambda line, width: line.buffer(width / 2, cap_style="flat", join_style="bevel"),
        along,
        st.floats(least, most),
    )


def in_the_tile(polygon: BaseGeometry) -> BaseGeometry:
    """The largest part of a polygon that is in the tile; a square where there is none."""
    clipped = shapely.make_valid(polygon).intersection(shapely.box(0, 0, SIZE, SIZE))
    parts = [part for part in shapely.get_parts(clipped) if part.geom_type == "Polygon" and part.area > 1e-6]
    return max(parts, key=lambda part: part.area) if parts else shapely.box(3, 3, 9, 9)


def is_valid_on_the_ground(polygon: BaseGeometry) -> bool:
    """Not so where corners are nearer than degrees can tell."""
    return from_pixels(polygon, TILE, 512).is_valid


polygons = (stars() | ribbons(0.01, 3.0)).map(in_the_tile).filter(is_valid_on_the_ground)
lines = st.lists(positions, min_size=2, max_size=8).map(shapely.LineString).filter(lambda line: line.length > 1e-3)
points = positions.map(shapely.Point)


def strays(project: ProjectView, dialect: str, class_name: str, pixels: BaseGeometry, *, by_line: bool = False) -> bool:
    """Whether any point, there or back, is further than a unit from all of the other, in x or in y; or `by_line`.

    What comes back is valid, of its class, and needed no repair.
    """
    contract = contract_of(project, dialect=dialect)
    text = render_answer([(class_name, from_pixels(pixels, TILE, 512))], TILE, contract)
    answered = parse_answer(text, TILE, contract)
    assert answered, "the feature is lost"
    assert all(each.geometry.is_valid and each.class_name == class_name for each in answered)
    assert not any(each.repaired for each in answered)
    back = to_pixels(shapely.union_all([each.geometry for each in answered]), TILE, contract.limit)
    scale = contract.limit / SIZE
    before = shapely.transform(pixels, lambda points: points * scale)
    return not are_within(1 + ROUNDING, before, back, by_line=by_line)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(pixels=polygons)
def test_polygons_come_back_within_one_unit(project: ProjectView, dialect: str, pixels: BaseGeometry) -> None:
    assert not strays(project, dialect, "building", pixels)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(pixels=lines)
def test_lines_come_back_within_one_unit(project: ProjectView, dialect: str, pixels: BaseGeometry) -> None:
    assert not strays(project, dialect, "road", pixels, by_line=pixels.length > 2)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(pixels=points)
def test_points_come_back_within_one_unit(project: ProjectView, dialect: str, pixels: BaseGeometry) -> None:
    assert not strays(project, dialect, "tree", pixels, by_line=True)


@given(pixels=st.lists(polygons, max_size=5), order=st.randoms())
def test_one_truth_has_one_answer(project: ProjectView, pixels: list[BaseGeometry], order: random.Random) -> None:
    contract = contract_of(project)
    truth = [("building", from_pixels(each, TILE, 512)) for each in pixels]
    shuffled = list(truth)
    order.shuffle(shuffled)
    assert render_answer(truth, TILE, contract) == render_answer(shuffled, TILE, contract)


def test_a_feature_across_a_border_is_told_in_both_tiles_and_ends_there(project: ProjectView) -> None:
    contract = contract_of(project)
    east = Tile(TILE.z, TILE.x + 1, TILE.y)
    road = from_pixels(shapely.LineString([(100, 100), (800, 100)]), TILE, 512)
    answers = [parse_answer(render_answer([("road", road)], tile, contract), tile, contract) for tile in (TILE, east)]
    meeting = [each.geometry for answer in answers for each in answer]
    assert len(meeting) == 2
    assert shapely.distance(*meeting) < 1e-9
    assert shapely.length(meeting[0]) + shapely.length(meeting[1]) == pytest.approx(shapely.length(road), rel=0.01)


def test_an_outline_whose_hole_shrinks_to_a_point_is_told(project: ProjectView) -> None:
    outline = [(0.75, 0.567), (0.75, 1.433), (1.5, 1.0)]
    ring = shapely.Polygon(outline, [[(0.9, 1.173), (0.9, 0.827), (1.2, 1.0)]])
    assert not strays(project, "qwen", "building", ring)


def test_an_outline_narrower_than_a_unit_is_still_there(project: ProjectView) -> None:
    sliver = shapely.Polygon([(10, 10), (200, 10.1), (10, 10.2)])
    assert not strays(project, "openai", "building", sliver)
