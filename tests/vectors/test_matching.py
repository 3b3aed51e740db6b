"""Pairs of features that stand for the same thing."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.affinity import translate

from maploop.errors import InputError
from maploop.vectors.geometry import as_geometries, iou, match_features

METRE = 1 / 111_319.49  # degrees of longitude at the equator


def house(x: float, y: float = 0.0, size: float = 10.0) -> shapely.Polygon:
    """A square of `size` metres at x, y metres from 32 E on the equator."""
    return shapely.box(32 + x * METRE, y * METRE, 32 + (x + size) * METRE, (y + size) * METRE)


def test_polygons_match_at_the_threshold_and_best_first() -> None:
    earlier = as_geometries([house(0), house(100), house(200)])
    candidates = as_geometries([house(3), house(1), house(104), house(200), house(500)])
    matches = match_features(candidates, earlier, "polygon")
    assert list(zip(matches.candidate, matches.earlier, strict=True)) == [(3, 2), (1, 0)]
    assert matches.quality == pytest.approx([1, 9 / 11], abs=1e-6)
    looser = match_features(candidates, earlier, "polygon", iou_threshold=0.4)
    assert list(zip(looser.candidate, looser.earlier, strict=True)) == [(3, 2), (1, 0), (2, 1)]


def test_lines_match_when_each_runs_along_the_other() -> None:
    def road(x0: float, x1: float, y: float) -> shapely.LineString:
        return shapely.LineString([(32 + x0 * METRE, y * METRE), (32 + x1 * METRE, y * METRE)])

    earlier = as_geometries([road(0, 100, 0), road(0, 100, 50)])
    candidates = as_geometries([road(0, 100, 4), road(0, 90, 2), road(0, 30, 51), road(20, 80, 49)])
    matches = match_features(candidates, earlier, "line", tolerance_m=3)
    assert set(zip(matches.candidate.tolist(), matches.earlier.tolist(), strict=True)) == {(1, 0), (3, 1)}
    across = as_geometries([shapely.LineString([(32 + 50 * METRE, -50 * METRE), (32 + 50 * METRE, 45 * METRE)])])
    assert len(match_features(across, earlier, "line").candidate) == 0


@pytest.mark.parametrize("latitude", [0.0, 52.5, -70.0, 84.0])
def test_the_tolerance_is_in_metres_at_any_latitude(latitude: float) -> None:
    east = METRE / np.cos(np.radians(latitude))
    points = as_geometries([shapely.Point(32, latitude)])
    for metres, matched in ((2.95, 1), (3.05, 0)):
        beside = as_geometries([shapely.Point(32 + metres * east, latitude)])
        assert len(match_features(beside, points, "point", tolerance_m=3).candidate) == matched
        lines = as_geometries([shapely.LineString([(32, latitude), (32, latitude + 100 * METRE)])])
        moved = as_geometries([translate(lines[0], metres * east)])
        assert len(match_features(moved, lines, "line", tolerance_m=3).candidate) == matched


def test_nothing_matches_nothing_and_odd_thresholds_are_refused() -> None:
    empty = as_geometries([])
    assert len(match_features(empty, as_geometries([house(0)]), "polygon").candidate) == 0
    for options in ({"iou_threshold": 0.0}, {"iou_threshold": 1.5}, {"tolerance_m": 0.0}, {"tolerance_m": np.nan}):
        with pytest.raises(InputError, match="must be above 0"):
            match_features(empty, empty, "point", **options)


houses = st.lists(st.builds(house, st.floats(0, 40), st.floats(0, 40), st.floats(2, 15)), min_size=0, max_size=8).map(
    as_geometries
)


@given(houses, houses)
def test_matches_are_one_to_one_and_none_that_could_be_made_is_left(
    candidates: np.ndarray[tuple[int], np.dtype[np.object_]], earlier: np.ndarray[tuple[int], np.dtype[np.object_]]
) -> None:
    matches = match_features(candidates, earlier, "polygon")
    assert len(set(matches.candidate.tolist())) == len(set(matches.earlier.tolist())) == len(matches.candidate)
    for i, j, quality in zip(*(column.tolist() for column in matches), strict=True):
        assert iou(candidates[i], earlier[j]) == pytest.approx(quality, abs=1e-9)
    for i in set(range(len(candidates))) - set(matches.candidate.tolist()):
        for j in set(range(len(earlier))) - set(matches.earlier.tolist()):
            assert iou(candidates[i], earlier[j]) < 0.5 + 1e-9
