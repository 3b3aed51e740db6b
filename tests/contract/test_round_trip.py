"""Geometry -> answer -> geometry stays within one unit of every dialect, and what comes back is valid."""

import math
import random

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from maploop.contract import DIALECTS, contract_of, parse_answer, render_answer
from maploop.imagery.tilemath import Tile, from_pixels, to_pixels
from maploop.project import ProjectView

TILE = Tile(19, 309_611, 261_632)  # Kampala
SIZE = 512.0
ROUNDING = 1e-2  # units; degrees to pixels and back

inside = st.floats(0.0, SIZE, allow_nan=False)
positions = st.tuples(inside, inside)


@st.composite
def polygons(draw: st.DrawFn) -> BaseGeometry:
    """Star-shaped outlines around a middle, half of them with a hole, from tiny to the whole tile; pixels."""
    x, y = draw(positions)
    corners = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(0.5, 300.0), min_size=corners, max_size=corners))
    turn = draw(st.floats(0, math.tau))
    angles = [turn + math.tau * index / corners for index in range(corners)]
    ring = [(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    hole = [(x + (bx - x) * 0.4, y + (by - y) * 0.4) for bx, by in ring]
    polygon = shapely.Polygon(ring, [hole] if draw(st.booleans()) else [])
    clipped = polygon.intersection(shapely.box(0, 0, SIZE, SIZE))
    parts = [part for part in shapely.get_parts(clipped) if part.geom_type == "Polygon" and part.area > 0.25]
    return max(parts, key=lambda part: part.area) if parts else shapely.box(3, 3, 9, 9)


lines = st.lists(positions, min_size=2, max_size=8).map(shapely.LineString).filter(lambda line: line.length > 0.01)
points = positions.map(shapely.Point)


def strays(project: ProjectView, dialect: str, class_name: str, pixels: BaseGeometry, units: float) -> bool:
    """Whether any point is further than so many units from where it was, there or back.

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
    return max(farthest(before, back), farthest(back, before)) > units + ROUNDING


def farthest(geometry: BaseGeometry, other: BaseGeometry) -> float:
    """How far from the other one a point of a geometry is, looked for every tenth of a unit and within what is left.

    Not by buffers, of which GEOS now and then leaves out a part.
    """
    drawn = geometry.boundary if geometry.geom_type.endswith("Polygon") else geometry
    places = [shapely.get_coordinates(shapely.segmentize(drawn, 0.1))]
    for part in shapely.get_parts(geometry.difference(other)):
        if part.geom_type == "Polygon" and part.area > 0:
            places.append(shapely.get_coordinates(shapely.maximum_inscribed_circle(part))[:1])
    return float(shapely.distance(shapely.points(np.vstack(places)), other).max())


def is_wide(pixels: BaseGeometry) -> bool:
    """Whether the polygon, and any gap in it, is nowhere narrower than a unit of any dialect."""
    inner, outer = pixels.buffer(-1), pixels.buffer(1)
    return bool(inner.buffer(1.5, join_style="mitre").covers(pixels) and pixels.covers(outer.buffer(-1.5)))


@pytest.mark.parametrize("dialect", DIALECTS)
@given(pixels=polygons())
def test_polygons_come_back_within_one_unit(project: ProjectView, dialect: str, pixels: BaseGeometry) -> None:
    assert not strays(project, dialect, "building", pixels, 1 if is_wide(pixels) else 2)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(pixels=lines)
def test_lines_come_back_within_one_unit(project: ProjectView, dialect: str, pixels: BaseGeometry) -> None:
    assert not strays(project, dialect, "road", pixels, 1 if pixels.length > 2 else 2)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(pixels=points)
def test_points_come_back_within_one_unit(project: ProjectView, dialect: str, pixels: BaseGeometry) -> None:
    assert not strays(project, dialect, "tree", pixels, 1)


@given(pixels=st.lists(polygons(), max_size=5), order=st.randoms())
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
    assert not strays(project, "qwen", "building", ring, 2)


def test_an_outline_narrower_than_a_unit_is_still_there(project: ProjectView) -> None:
    sliver = shapely.Polygon([(10, 10), (200, 10.1), (10, 10.2)])
    assert not strays(project, "openai", "building", sliver, 1.5)
