"""Whole numbers for outlines that whole numbers break: specks, hairs, combs and spirals."""

import numpy as np
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from maploop.contract.whole_units import rings_in_units
from tests.contract.distances import are_within

LIMIT = 40


def drawn(polygon: BaseGeometry) -> BaseGeometry:
    """What is drawn of a polygon, each part of it valid and with an area."""
    parts = [shapely.Polygon(outline, holes) for outline, *holes in rings_in_units(polygon, LIMIT)]
    assert all(part.is_valid and part.area > 0 for part in parts)
    return shapely.union_all(parts)


def spiral(width: float) -> BaseGeometry:
    turn = np.linspace(0.5, 20, 160)
    around = np.column_stack([20 + 0.9 * turn * np.cos(turn), 20 + 0.9 * turn * np.sin(turn)])
    return shapely.LineString(around).buffer(width / 2)


def comb(gap: float) -> BaseGeometry:
    teeth = [shapely.box(2 + tooth * (0.9 + gap), 5, 2.9 + tooth * (0.9 + gap), 30) for tooth in range(15)]
    return shapely.union_all([shapely.box(2, 4, 30, 6), *teeth])


BROKEN = {
    "a speck between two positions": shapely.Point(7, 7.5).buffer(1e-3),
    "a speck between four": shapely.Point(7.5, 7.5).buffer(1e-3),
    "a speck in the corner": shapely.box(0, 0, 0.01, 0.01),
    "a speck in the last corner": shapely.box(LIMIT - 0.01, LIMIT - 0.01, LIMIT, LIMIT),
    "a hair": shapely.LineString([(3.2, 4.4), (33.3, 9.6), (12.5, 30.5)]).buffer(0.05),
    "crossing hairs": shapely.union_all(
        [shapely.LineString([(1, 2 + 3 * n), (39, 37 - 3 * n)]).buffer(0.1) for n in range(5)]
    ),
    "a hair along the border": shapely.box(0, 0, 0.2, LIMIT),
    "a narrow spiral": spiral(0.3),
    "a narrow gap of a spiral": spiral(5.3),
    "narrow gaps of a comb": comb(0.2),
    "a ring as good as closed": shapely.Point(20, 20).buffer(9).difference(shapely.Point(20, 20).buffer(8.8)),
}


@pytest.mark.parametrize("turn", [0, 20, 45])
@pytest.mark.parametrize("name", BROKEN)
def test_it_is_drawn_within_a_unit(name: str, turn: float) -> None:
    turned = shapely.affinity.rotate(BROKEN[name], turn, origin=(LIMIT / 2, LIMIT / 2))
    for polygon in shapely.get_parts(turned.intersection(shapely.box(0, 0, LIMIT, LIMIT))):
        assert are_within(1 + 1e-5, polygon, drawn(polygon))


def test_what_no_other_drawing_does_justice_is_drawn_in_squares() -> None:
    speck = shapely.Polygon([(2.3, 2.0), (2.4, 2.1), (2.3, 1.9)])
    assert are_within(1 + 1e-5, speck, drawn(speck))


@pytest.mark.parametrize("x", [0.0, 6.6, 7.0, 7.4, LIMIT])
@pytest.mark.parametrize("y", [0.0, 8.6, 9.0, 9.4, LIMIT])
@pytest.mark.parametrize("step", [(0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)])
def test_a_line_shorter_than_a_unit_is_drawn_a_unit_long(x: float, y: float, step: tuple[float, float]) -> None:
    ends = np.clip([(x, y), (x + step[0], y + step[1])], 0, LIMIT)
    ((line,),) = rings_in_units(shapely.LineString(ends), LIMIT)
    assert shapely.LineString(line).length == 1
    assert (np.array(line) >= 0).all()
    assert (np.array(line) <= LIMIT).all()
    assert (abs(np.array(line)[:, None] - ends) <= 1 + 1e-9).all()
