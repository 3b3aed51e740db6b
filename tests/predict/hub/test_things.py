"""What networks see in windows that overlap, put together."""

import numpy as np
import pytest
import shapely
from shapely import Polygon

from maploop.predict.drawing import PredictedFeature
from maploop.predict.hub.areas import Images, ThingArea
from maploop.predict.hub.parameters import read_parameters
from maploop.predict.hub.things import Thing, area_of, distinct

SIDE = 128
RED = (250, 0, 0)


class Sees:
    """Finds the red part of each window."""

    def __init__(self, class_name: str = "building") -> None:
        self._class_name = class_name

    def things(self, images: Images) -> list[list[Thing]]:
        areas = [area_of((image == RED).all(axis=2)) for image in images]
        return [[] if area is None else [Thing(self._class_name, 0.9, area)] for area in areas]


def seen(red: list[tuple[int, int, int, int]], kind: str = "polygon", *, boxes: bool = False) -> list[PredictedFeature]:
    """What comes of a picture of 500 x 128 pixels with red rectangles."""
    picture = np.zeros((SIDE, 500, 3), dtype=np.uint8)
    for left, top, right, bottom in red:
        picture[top:bottom, left:right] = RED
    parameters = read_parameters(
        {"task": "instance", "labels": {"house": "building"}, "window": SIDE, "overlap": 24, "batch": 3}
    )
    area = ThingArea(Sees(), {"building": kind}, parameters, boxes=boxes)
    return area.predict_area(lambda x, y, wide, high: picture[y : y + high, x : x + wide], 500, SIDE)


@pytest.mark.parametrize("boxes", [True, False])
@pytest.mark.parametrize("left", [5, 60, 90, 130, 200, 330, 450])
def test_a_thing_comes_once_and_whole_wherever_windows_cut_it(left: int, boxes: bool) -> None:
    (found,) = seen([(left, 30, left + 44, 70)], boxes=boxes)
    real = shapely.box(left, 30, left + 44, 70)
    assert found.geometry.intersection(real).area / found.geometry.union(real).area > 0.93
    assert found.score == 0.9


def test_a_thing_larger_than_a_window_is_put_together() -> None:
    (found,) = seen([(40, 40, 420, 80)])
    assert found.geometry.bounds == pytest.approx((40, 40, 420, 80), abs=2)


def test_two_things_in_neighbouring_windows_stay_two() -> None:
    found = seen([(10, 10, 60, 50), (140, 70, 190, 110)])
    assert len(found) == 2


def test_long_things_become_centre_lines_across_windows() -> None:
    (found,) = seen([(0, 56, 500, 72)], "line")
    assert found.geometry.geom_type == "LineString"
    assert found.geometry.length == pytest.approx(500, abs=20)
    assert found.geometry.centroid.y == pytest.approx(64, abs=2)


def test_things_of_a_class_of_points_are_their_middles() -> None:
    (found,) = seen([(100, 40, 120, 60)], "point")
    assert found.geometry.coords[0] == pytest.approx((110, 50), abs=0.5)


def square(left: float, side: float = 10) -> Polygon:
    return shapely.box(left, 0, left + side, side)


def test_of_the_same_thing_seen_twice_the_better_stays() -> None:
    things = [
        Thing("a", 0.6, square(0)),
        Thing("a", 0.8, square(1)),
        Thing("b", 0.5, square(0)),
        Thing("a", 0.4, square(9)),
    ]
    assert distinct(things) == [things[1], things[2], things[3]]


def test_the_largest_part_of_a_mask_is_its_area() -> None:
    mask = np.zeros((20, 20), dtype=np.bool_)
    assert area_of(mask) is None
    mask[2:4, 2:4], mask[10:18, 5:15] = True, True
    area = area_of(mask)
    assert area is not None
    assert area.bounds == (5, 10, 15, 18)
