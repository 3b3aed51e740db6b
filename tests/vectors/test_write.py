"""Writing: what is written reads back the same, in equal bytes, whole or not at all."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from maploop.errors import VectorError
from maploop.vectors.geometry import GeometryType
from maploop.vectors.read import read_features
from maploop.vectors.write import VectorFormat, write_features

SUFFIXES: dict[VectorFormat, str] = {
    "geojson": ".geojson",
    "geopackage": ".gpkg",
    "geoparquet": ".parquet",
    "flatgeobuf": ".fgb",
}
every_format = pytest.mark.parametrize("format", SUFFIXES)
offsets = st.floats(-0.01, 0.01)
places = st.tuples(st.floats(-179.9, 179.9), st.floats(-84.9, 84.9))


def _blob(angles: list[float], radius: float) -> BaseGeometry:
    """A star-shaped, so valid, polygon of up to a kilometre."""
    turns = np.linspace(0, 2 * np.pi, len(angles), endpoint=False)
    reach = radius * (0.5 + np.array(angles))
    return shapely.Polygon(np.column_stack([reach * np.cos(turns), reach * np.sin(turns)]))


blobs = st.builds(_blob, st.lists(st.floats(0, 1), min_size=4, max_size=30), st.floats(1e-4, 1e-2))
paths = st.lists(st.tuples(offsets, offsets), min_size=2, max_size=20).map(shapely.LineString)
features = st.lists(
    st.builds(
        lambda shape, place: translate(shape, *place),
        blobs | paths.filter(lambda path: path.length > 1e-5) | st.just(shapely.Point(0, 0)),
        places,
    ),
    min_size=1,
    max_size=10,
)


def _frame(geometries: list[BaseGeometry]) -> geopandas.GeoDataFrame:
    types = {"Polygon": "building", "LineString": "road", "Point": "tap"}
    frame = {"class": [types[item.geom_type] for item in geometries], "number": range(len(geometries))}
    return geopandas.GeoDataFrame(frame, geometry=geometries, crs=4326)


@every_format
@settings(max_examples=40, deadline=None)
@given(geometries=features)
def test_any_valid_geometry_survives_writing_and_reading(
    format: VectorFormat, geometries: list[BaseGeometry], tmp_path_factory: pytest.TempPathFactory
) -> None:
    classes: dict[str, GeometryType] = {"building": "polygon", "road": "line", "tap": "point"}
    path = tmp_path_factory.getbasetemp() / f"survives{SUFFIXES[format]}"
    frame = _frame(geometries)
    write_features(frame, path, format)
    table, report = read_features(path, classes=classes)
    assert (report.read, report.repaired, report.skipped) == (len(geometries), [], [])
    for place, texts in enumerate(table.properties):
        written = geometries[int(texts["number"])]
        read = table.geometries[place]
        assert read.geom_type == written.geom_type
        with np.errstate(all="ignore"):
            assert shapely.hausdorff_distance(read, written) <= 1e-7
        assert table.class_names[place] == texts["class"]


@every_format
def test_equal_input_gives_equal_bytes(format: VectorFormat, tmp_path: Path, town: geopandas.GeoDataFrame) -> None:
    contents = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / f"town{SUFFIXES[format]}"
        write_features(town, path, format)
        write_features(town, path, format)
        contents.append(path.read_bytes())
        assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert contents[0] == contents[1]


@every_format
def test_nothing_at_all_can_be_written(format: VectorFormat, tmp_path: Path, town: geopandas.GeoDataFrame) -> None:
    path = tmp_path / f"nothing{SUFFIXES[format]}"
    write_features(town.iloc[:0], path, format)
    table, report = read_features(path, classes={"building": "polygon"})
    assert (len(table), report.read) == (0, 0)


@every_format
def test_projected_features_are_written_in_degrees(
    format: VectorFormat, tmp_path: Path, town: geopandas.GeoDataFrame
) -> None:
    path = tmp_path / f"town{SUFFIXES[format]}"
    write_features(town.to_crs(32636), path, format)
    table, _ = read_features(path, classes={"building": "polygon"})
    np.testing.assert_allclose(shapely.total_bounds(table.geometries), town.total_bounds, atol=1e-7)


def test_geojson_is_as_rfc_7946_has_it(tmp_path: Path, town: geopandas.GeoDataFrame) -> None:
    path = tmp_path / "town.geojson"
    write_features(town, path, "geojson")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert "crs" not in document
    ring = document["features"][2]["geometry"]["coordinates"]
    assert shapely.LinearRing(ring[0]).is_ccw
    assert not shapely.LinearRing(ring[1]).is_ccw
    assert document["features"][2]["properties"] == {"class": "building", "score": None, "osm_id": 3}
    assert all(round(x, 8) == x for position in ring[0] for x in position)


def test_geojson_takes_multi_geometries_dates_and_what_is_missing(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(
        {"seen": [pandas.Timestamp("2026-11-24"), pandas.NaT], "tags": [["a", 1], None], "n": [1.5, float("nan")]},
        geometry=[shapely.MultiPoint([(1, 2), (3, 0.123456789)]), None],
        crs=4326,
    )
    write_features(frame, tmp_path / "mixed.geojson", "geojson")
    first, second = json.loads((tmp_path / "mixed.geojson").read_text(encoding="utf-8"))["features"]
    assert first["properties"] == {"seen": "2026-11-24T00:00:00", "tags": ["a", 1], "n": 1.5}
    assert first["geometry"] == {"type": "MultiPoint", "coordinates": [[1, 2], [3, 0.12345679]]}
    assert second == {"type": "Feature", "properties": dict.fromkeys(["seen", "tags", "n"]), "geometry": None}


def test_a_geopackage_has_a_layer_for_each_geometry_type(tmp_path: Path) -> None:
    frame = _frame([shapely.box(0, 0, 1, 1), shapely.LineString([(0, 0), (1, 1)]), shapely.Point(0, 0)])
    write_features(frame, tmp_path / "mixed.gpkg", "geopackage")
    layers = [tuple(layer) for layer in pyogrio.list_layers(tmp_path / "mixed.gpkg")]
    assert layers == [("polygons", "Polygon"), ("lines", "LineString"), ("points", "Point")]


@every_format
def test_a_write_that_fails_leaves_what_was_there(
    format: VectorFormat, tmp_path: Path, town: geopandas.GeoDataFrame
) -> None:
    path = tmp_path / f"town{SUFFIXES[format]}"
    path.write_bytes(b"before")
    with pytest.raises(VectorError, match="cannot be written"):
        write_features(town.assign(bad=[1j, 2j, 3j]), path, format)
    assert path.read_bytes() == b"before"
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_written_is_said(tmp_path: Path, town: geopandas.GeoDataFrame) -> None:
    with pytest.raises(VectorError, match="'shapefile' is not a vector format: use geojson"):
        write_features(town, tmp_path / "town.shp", "shapefile")  # type: ignore[arg-type]
    with pytest.raises(VectorError, match="have no CRS"):
        write_features(town.set_crs(None, allow_override=True), tmp_path / "town.fgb", "flatgeobuf")
    with pytest.raises(VectorError, match="choose another folder"):
        write_features(town, tmp_path / "nowhere" / "town.fgb", "flatgeobuf")
