"""Parsing, repairing, clipping, splitting by tiles and measuring."""

import math

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from maploop.errors import InputError
from maploop.imagery.tilemath import MAX_LATITUDE, Tile, from_pixels, tile_at, tiles_covering
from maploop.vectors.geometry import (
    GeometryType,
    area_m2,
    as_geometries,
    clip_to_tile,
    iou,
    length_m,
    local_metric_crs,
    parse_geojson_geometry,
    repair_polygons,
    split_by_tiles,
)

TILE = Tile(19, 309613, 261632)
longitudes = st.floats(-179.9, 179.9)
latitudes = st.floats(-84.9, 84.9)
numbers = st.floats(-0.002, 0.002).map(lambda value: round(value, 9))
outlines = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=8)


@st.composite
def valid_polygons(draw: st.DrawFn) -> BaseGeometry:
    """Any valid polygon of at most 400 m, anywhere on the map."""
    ring = shapely.Polygon(draw(outlines))
    parts, _ = repair_polygons(as_geometries([ring]))
    assume(len(parts) > 0 and parts[0].area > 1e-10)
    moved: BaseGeometry = translate(parts[0], draw(longitudes), draw(latitudes))
    assume(moved.is_valid)
    return moved


@st.composite
def lines(draw: st.DrawFn) -> BaseGeometry:
    line = shapely.LineString(draw(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=8)))
    assume(line.length > 1e-6)
    return translate(line, draw(longitudes), draw(latitudes))


def geojson(kind: str, coordinates: object) -> dict[str, object]:
    return {"type": kind, "coordinates": coordinates}


SQUARE = [[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("geometry_type", "obj"),
    [
        ("polygon", geojson("Polygon", [SQUARE])),
        ("polygon", geojson("MultiPolygon", [[SQUARE]])),
        ("polygon", geojson("MultiPolygon", [[SQUARE], [SQUARE]])),
        ("polygon", geojson("Polygon", [[[*position, 12.5] for position in SQUARE]])),
        ("polygon", geojson("Polygon", [SQUARE[:-1]])),
    ],
)
def test_geometry_from_outside_becomes_one_valid_flat_geometry(geometry_type: GeometryType, obj: object) -> None:
    polygon = parse_geojson_geometry(obj, geometry_type)
    assert polygon.equals(shapely.box(0, 0, 1, 1))
    assert shapely.is_ccw(shapely.get_exterior_ring(polygon))
    assert not polygon.has_z


@pytest.mark.parametrize(
    ("geometry_type", "obj", "message"),
    [
        ("polygon", None, "is not a GeoJSON geometry"),
        ("polygon", {"type": ["Polygon"]}, "is not a GeoJSON geometry"),
        ("polygon", geojson("Point", [0, 0]), "'Point' is not the geometry of a polygon: send a GeoJSON Polygon"),
        ("polygon", geojson("MultiPolygon", []), "does not nest"),
        ("polygon", geojson("MultiPolygon", [[SQUARE], [[[0, 0], [1, 1], [0, 0]]]]), "too few|encloses no area"),
        ("point", geojson("MultiPoint", [[0, 0], [1, 1]]), "has 2 parts: send each part as a feature"),
        ("polygon", geojson("Polygon", [[[0, 0], [1, 1], [0, 0]]]), "too few positions|encloses no area"),
        ("polygon", geojson("Polygon", [[[0, 0], [1, 1], [2, 2], [0, 0]]]), "encloses no area"),
        ("polygon", geojson("Polygon", [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]), "falls into 2 parts"),
        ("polygon", geojson("Polygon", "abc"), "does not nest"),
        ("polygon", geojson("Polygon", []), "does not nest"),
        ("line", geojson("LineString", [[0, 0]]), "too few positions"),
        ("line", geojson("LineString", [[0, 0], [0, 0]]), "has no length"),
        ("point", geojson("Point", [math.nan, 0]), "nan is not a longitude"),
        ("point", geojson("Point", [math.inf, 0]), "inf is not a longitude"),
        ("point", geojson("Point", [0, 86]), "86 is not a latitude"),
        ("point", geojson("Point", [10**400, 0]), "is not a longitude"),
        ("point", geojson("Point", ["1", 0]), "'1' is not a longitude"),
        ("point", geojson("Point", [True, 0]), "True is not a longitude"),
        ("point", geojson("Point", [1]), "is not a position"),
        ("point", geojson("Point", {"x": 1}), "is not a position"),
        ("line", geojson("LineString", [[0, i / 1e5] for i in range(2001)]), "more than 2,000 vertices"),
    ],
)
def test_what_is_no_such_geometry_is_refused(geometry_type: GeometryType, obj: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_geojson_geometry(obj, geometry_type)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["type", "coordinates"]), inner),
    max_leaves=20,
)


@given(
    kind=st.sampled_from(["Polygon", "LineString", "Point", "MultiPolygon", "MultiPoint"]),
    coordinates=json_values,
    geometry_type=st.sampled_from(["polygon", "line", "point"]),
)
def test_any_json_is_a_valid_geometry_or_an_input_error(
    kind: str, coordinates: object, geometry_type: GeometryType
) -> None:
    try:
        geometry = parse_geojson_geometry(geojson(kind, coordinates), geometry_type)
    except InputError:
        return
    assert geometry.is_valid
    assert not geometry.is_empty


@given(outlines)
def test_repaired_polygons_are_valid_and_cover_what_was_drawn(outline: list[tuple[float, float]]) -> None:
    polygon = shapely.Polygon(outline)
    parts, index = repair_polygons(as_geometries([polygon]))
    assert shapely.is_valid(parts).all()
    assert (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON).all()
    assert (index == 0).all()
    if polygon.is_valid:
        assert shapely.union_all(parts).symmetric_difference(polygon).area <= 1e-12


@given(valid_polygons() | lines(), st.sampled_from([14, 17, 19]))
def test_the_parts_in_the_tiles_of_a_feature_cover_it(geometry: BaseGeometry, zoom: int) -> None:
    split = split_by_tiles(as_geometries([geometry]), zoom)
    tiles = [Tile(*map(int, address)) for address in zip(split.z, split.x, split.y, strict=True)]
    assert len(set(tiles)) == len(tiles) > 0
    parts = [part for tile in tiles for part in clip_to_tile(geometry, tile)]
    assert parts
    assert {part.geom_type for part in parts} == {geometry.geom_type}
    assert all(part.is_valid for part in parts)
    pixel = 360 / 2**zoom / 512
    if geometry.geom_type == "LineString":  # what runs along a border may be in both tiles
        assert sum(part.length for part in parts) >= geometry.length * (1 - 1e-6) - len(tiles) * 6 * pixel
        assert all(geometry.buffer(1e-9).covers(part) for part in parts)
    else:
        slivers = len(tiles) * 12 * pixel**2
        assert sum(part.area for part in parts) == pytest.approx(geometry.area, rel=1e-6, abs=slivers)
    slow = [tile for tile in tiles_covering(geometry.bounds, zoom) if _shares(geometry, tile)]
    assert set(slow) <= set(tiles)


def _shares(geometry: BaseGeometry, tile: Tile) -> bool:
    """Shares more than what rounding explains."""
    west, south, east, north = tile.bounds
    inset = (east - west) * 1e-5, (north - south) * 1e-5
    return bool(shapely.box(west + inset[0], south + inset[1], east - inset[0], north - inset[1]).intersects(geometry))


def test_touching_a_border_is_not_sharing_a_tile() -> None:
    west, south, east, north = TILE.bounds
    middle = (south + north) / 2
    inside = TILE.polygon
    on_border = shapely.LineString([(east, south + 1e-5), (east, north - 1e-5)])
    corner = shapely.Point(west, north)
    across = shapely.LineString([(east - 1e-5, middle), (east + 1e-5, middle)])
    split = split_by_tiles(as_geometries([inside, on_border, corner, across]), TILE.z)
    assert split.feature.tolist() == [0, 1, 2, 3, 3]
    assert (split.x[0], split.y[0]) == (TILE.x, TILE.y)
    assert split.x[3:].tolist() == [TILE.x, TILE.x + 1]


@pytest.mark.parametrize("zoom", [5, 13, 20, 24])
def test_the_square_of_a_tile_is_in_that_tile_alone(zoom: int) -> None:
    generator = np.random.default_rng(zoom)
    tiles = [Tile(zoom, *(int(value) for value in generator.integers(0, 2**zoom, 2))) for _ in range(300)]
    split = split_by_tiles(as_geometries([tile.polygon for tile in tiles]), zoom)
    assert [Tile(*map(int, address)) for address in zip(split.z, split.x, split.y, strict=True)] == tiles


def test_a_line_along_a_border_keeps_its_whole_length() -> None:
    west, south, east, north = TILE.bounds
    along = shapely.LineString([(west, south - (north - south)), (west, north), (east, (south + north) / 2)])
    split = split_by_tiles(as_geometries([along]), TILE.z)
    tiles = {Tile(*map(int, address)) for address in zip(split.z, split.x, split.y, strict=True)}
    assert TILE in tiles
    assert {tile.y for tile in tiles} == {TILE.y, TILE.y + 1}
    parts = [part for tile in tiles for part in clip_to_tile(along, tile)]
    assert shapely.union_all(parts).buffer(1e-9).covers(along)


def test_a_diagonal_line_is_only_in_the_tiles_it_crosses() -> None:
    line = shapely.LineString([(32.6, 0.30), (32.65, 0.35)])
    split = split_by_tiles(as_geometries([line]), 19)
    assert 70 < len(split.feature) < 4 * 75
    assert all(_crosses(line, int(x), int(y)) for x, y in zip(split.x, split.y, strict=True))


def _crosses(line: BaseGeometry, x: int, y: int) -> bool:
    return bool(Tile(19, x, y).polygon.intersects(line))


def test_points_are_in_the_one_tile_that_holds_them() -> None:
    generator = np.random.default_rng(7)
    x, y = generator.uniform(-180, 180, 500), generator.uniform(-85, 85, 500)
    split = split_by_tiles(as_geometries(shapely.points(x, y)), 20)
    for place in range(500):
        assert tile_at(x[place], y[place], 20) == Tile(20, int(split.x[place]), int(split.y[place]))


def test_a_feature_as_large_as_a_country_is_left_out_and_named() -> None:
    geometries = as_geometries([shapely.box(29, -1, 35, 4), shapely.Point(32, 0)])
    split = split_by_tiles(geometries, 20)
    assert split.oversized.tolist() == [0]
    assert split.feature.tolist() == [1]


def test_nothing_is_split_into_nothing() -> None:
    split = split_by_tiles(as_geometries([]), 20)
    assert [len(column) for column in split] == [0] * 5


def test_clipping_drops_slivers_of_the_cut_and_keeps_small_features() -> None:
    def pixels(geometry: BaseGeometry) -> BaseGeometry:
        return from_pixels(geometry, TILE, 512)

    assert clip_to_tile(pixels(shapely.box(-100, 10, 1, 12)), TILE) == []
    assert len(clip_to_tile(pixels(shapely.box(-100, 10, 100, 50)), TILE)) == 1
    assert len(clip_to_tile(pixels(shapely.box(-0.5, 10, 0.5, 11)), TILE)) == 1
    boxes = (-20, 0, -10, 100), (-10, 10, 50, 30), (-10, 60, 50, 80)
    comb = shapely.union_all([shapely.box(*box) for box in boxes])
    teeth = clip_to_tile(pixels(comb), TILE)
    assert len(teeth) == 2
    assert shapely.is_ccw(shapely.get_exterior_ring(as_geometries(teeth))).all()
    assert clip_to_tile(pixels(shapely.LineString([(-50, 10), (1, 10)])), TILE) == []
    loop = pixels(shapely.LineString([(-50, 50), (100, 50), (100, 100), (20, 20)]))
    assert len(clip_to_tile(loop, TILE)) == 1
    assert clip_to_tile(pixels(shapely.Point(5, 5)), TILE) == [pixels(shapely.Point(5, 5))]
    assert clip_to_tile(pixels(shapely.Point(-5, 5)), TILE) == []


@pytest.mark.parametrize("latitude", [0.35, 52.5, -33.9, 78.2, -84.0])
def test_areas_and_lengths_agree_with_the_geodesic_ones(latitude: float) -> None:
    geod = pyproj.Geod(ellps="WGS84")
    polygon = shapely.box(32.59, latitude, 32.595, latitude + 0.003)
    expected_area, expected_length = geod.geometry_area_perimeter(polygon)
    assert area_m2(as_geometries([polygon]))[0] == pytest.approx(abs(expected_area), rel=1e-6)
    assert length_m(as_geometries([polygon]))[0] == pytest.approx(expected_length, rel=1e-9)
    assert length_m(as_geometries([shapely.Point(1, 1), polygon.exterior])).tolist() == pytest.approx(
        [0, expected_length]
    )


def test_iou_is_measured_on_the_ground() -> None:
    square = shapely.box(0, 60, 1, 61)
    north, south = shapely.box(0, 60.5, 1, 61), shapely.box(0, 60, 1, 60.5)
    assert iou(square, square) == pytest.approx(1)
    assert iou(square, translate(square, 5)) == 0
    assert iou(square, north) + iou(square, south) == pytest.approx(1)
    assert iou(square, north) < 0.5 < iou(square, south)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (shapely.Point(32.6, 0.35), 32636),
        (shapely.Point(-70.7, -33.4), 32719),
        (shapely.Point(180, 10), 32660),
        (shapely.Point(10, 84.9), 32661),
        ((-10.0, -MAX_LATITUDE, 10.0, -84.0), 32761),
    ],
)
def test_the_local_crs_is_the_utm_zone_or_ups(place: BaseGeometry, code: int) -> None:
    assert local_metric_crs(place).to_epsg() == code
