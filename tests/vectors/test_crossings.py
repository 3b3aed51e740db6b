"""One shape must not stop everybody: outlines that cross themselves everywhere are refused by row, in bounded work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from maploop.contract import Contract
from maploop.contract.parse import read_answer
from maploop.errors import InputError
from maploop.imagery.tilemath import Tile
from maploop.vectors.geometry import GeometryType, as_geometries, parse_geojson_geometry, repair_polygons, tangled
from maploop.vectors.read import read_features

WriteJson = Callable[..., Path]
Feature = Callable[..., dict[str, Any]]
Classes = dict[str, GeometryType]


def star(points: int) -> list[list[float]]:
    """A star of an odd number of points, each side of which crosses almost all others."""
    angles = 2 * np.pi * np.arange(points + 1) * (points // 2) / points
    corners: list[list[float]] = np.column_stack([32 + np.cos(angles) / 1000, np.sin(angles) / 1000]).tolist()
    return corners


def test_a_star_that_crosses_itself_everywhere_is_refused_by_row(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    path = write_json(
        make_feature({"type": "Polygon", "coordinates": [star(999)]}),
        make_feature({"type": "Polygon", "coordinates": [star(5)]}),
        make_feature({"type": "LineString", "coordinates": star(2001)}),
        make_feature({"type": "Polygon", "coordinates": [star(20_001)]}),
    )
    table, report = read_features(path, classes=classes)
    assert table.rows.tolist() == [1]
    assert report.skipped == [{"row": row, "reason": "it crosses itself more than 1,000 times"} for row in (0, 2, 3)]


@pytest.mark.parametrize("kind", ["polygon", "line"])
def test_the_browser_is_told_to_draw_such_a_shape_anew(kind: GeometryType) -> None:
    ring = star(999)
    geometry = {
        "polygon": {"type": "Polygon", "coordinates": [ring]},
        "line": {"type": "LineString", "coordinates": ring},
    }
    with pytest.raises(InputError, match="crosses itself more than 1,000 times: draw it anew"):
        parse_geojson_geometry(geometry[kind], kind, max_vertices=10_000)


def test_a_models_answer_of_such_a_shape_is_unfit() -> None:
    points = [[(index * 499) % 999, (index * index * 7) % 999] for index in range(900)]
    contract = Contract("openai", (("building", "polygon"), ("road", "line")), "", "", 512)
    for name, kind in (("building", "polygon"), ("road", "line")):
        text = f'{{"features":[{{"class":"{name}","geometry":"{kind}","points":{points},"holes":[]}}]}}'
        features, unfit = read_answer(text, Tile(19, 309613, 261632), contract)
        assert features == []
        assert [each.reason for each in unfit] == ["crosses itself everywhere"]


def test_what_may_be_repaired_is_told_from_what_may_not() -> None:
    twice_round = np.tile(shapely.get_coordinates(shapely.Point(0, 0).buffer(1, quad_segs=100))[:-1], (2, 1))
    comb = np.column_stack([np.linspace(0, 1, 3000), np.arange(3000) % 2])
    shapes = as_geometries(
        [
            shapely.Point(0, 0).buffer(1, quad_segs=2000),
            shapely.Polygon(twice_round),
            shapely.LineString(comb),
            shapely.Polygon(np.concatenate([comb, comb[::-1] * [1, -1] + [0, 1]])),
            shapely.MultiPolygon([shapely.Polygon(star(41)), shapely.Polygon(star(41)), shapely.Polygon(star(41))]),
            None,
        ]
    )
    assert tangled(shapes).tolist() == [False, False, False, True, True, False]
    parts, index = repair_polygons(shapes[[1, 3]])
    assert index.tolist() == [0]
    assert parts[0].area == pytest.approx(np.pi, rel=1e-3)
