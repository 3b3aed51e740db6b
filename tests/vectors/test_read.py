"""Reading files in every format: what goes in, what is repaired, what is skipped and why."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow
import pyarrow.parquet
import pyogrio
import pytest
import shapely

from maploop.errors import VectorError
from maploop.vectors.geometry import GeometryType, area_m2, as_geometries
from maploop.vectors.read import read_features

Feature = Callable[..., dict[str, Any]]
WriteJson = Callable[..., Path]
Classes = dict[str, GeometryType]

SQUARE = shapely.box(32.5950, 0.3500, 32.5952, 0.3502)
BOWTIE = shapely.Polygon([(32.0, 0.0), (32.001, 0.001), (32.001, 0.0), (32.0, 0.001)])
LINE = shapely.LineString([(32.0, 0.0), (32.001, 0.001)])
POINT = shapely.Point(32.0, 0.5)


def _write(frame: geopandas.GeoDataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".zip":
        folder = path.with_suffix("")
        folder.mkdir()
        pyogrio.write_dataframe(frame, folder / "town.shp")
        with zipfile.ZipFile(path, "w") as archive:
            for part in folder.iterdir():
                archive.write(part, f"some folder/{part.name}")
    elif path.suffix == ".geojsonl":
        pyogrio.write_dataframe(frame.to_crs(4326), path, driver="GeoJSONSeq")
    else:
        pyogrio.write_dataframe(frame, path)
    return path


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32636", "EPSG:3857", "EPSG:21096"])
@pytest.mark.parametrize("suffix", [".geojson", ".geojsonl", ".gpkg", ".parquet", ".shp", ".zip", ".fgb"])
def test_every_format_reads_the_same_in_any_crs(
    suffix: str, crs: str, tmp_path: Path, town: geopandas.GeoDataFrame, classes: Classes
) -> None:
    path = _write(town.to_crs(crs), tmp_path / f"town{suffix}")
    table, report = read_features(path, classes=classes)
    assert (report.read, report.repaired, report.skipped) == (3, [], [])
    order = np.argsort([int(row["osm_id"]) for row in table.properties])
    assert list(table.class_names) == ["building"] * 3
    np.testing.assert_allclose(table.scores[order], [0.9, 0.5, np.nan])
    apart = shapely.hausdorff_distance(table.geometries[order], town.geometry.to_numpy())
    assert (apart < 1e-7).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(table.geometries)).all()


def test_native_geoparquet_is_read(tmp_path: Path, town: geopandas.GeoDataFrame, classes: Classes) -> None:
    town.to_parquet(tmp_path / "native.parquet", geometry_encoding="geoarrow", schema_version="1.1.0")
    table, _ = read_features(tmp_path / "native.parquet", classes=classes)
    assert shapely.equals_exact(table.geometries, town.geometry.to_numpy(), 1e-9, normalize=True).all()


def test_all_layers_of_a_geopackage_are_read_or_the_one_named(
    tmp_path: Path, town: geopandas.GeoDataFrame, classes: Classes
) -> None:
    path = tmp_path / "layers.gpkg"
    pyogrio.write_dataframe(town, path, layer="houses")
    roads = geopandas.GeoDataFrame({"class": ["road"]}, geometry=[LINE], crs=4326).to_crs(32636)
    pyogrio.write_dataframe(roads, path, layer="roads")
    table, report = read_features(path, classes=classes)
    assert report.read == 4
    assert table.rows.tolist() == [0, 1, 2, 3]
    table, _ = read_features(path, classes=classes, layer="roads")
    assert list(table.class_names) == ["road"]
    with pytest.raises(VectorError, match=r"layers.gpkg has no layer 'rivers': choose one of houses, roads"):
        read_features(path, classes=classes, layer="rivers")


def test_a_missing_crs_is_degrees_when_they_fit_and_asked_for_otherwise(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    metres = make_feature(shapely.box(450_000, 38_000, 450_020, 38_020))
    path = write_json(metres)
    with pytest.raises(VectorError, match="does not say its CRS, and its coordinates are not degrees"):
        read_features(path, classes=classes)
    table, _ = read_features(path, classes=classes, source_crs="EPSG:32636")
    assert area_m2(table.geometries)[0] == pytest.approx(400, rel=2e-3)
    with pytest.raises(VectorError, match="'EPSG:nonsense' is not a CRS"):
        read_features(path, classes=classes, source_crs="EPSG:nonsense")


def test_the_old_crs_member_of_geojson_is_honoured(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    metres = make_feature(shapely.box(450_000, 38_000, 450_020, 38_020))
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32636"}}
    table, _ = read_features(write_json(metres, crs=crs), classes=classes)
    assert table.geometries[0].centroid.x == pytest.approx(32.5507, abs=1e-3)
    with pytest.raises(VectorError, match="is not a known CRS"):
        read_features(write_json(metres, crs={"properties": {"name": "EPSG:1"}}), classes=classes)


def test_a_class_is_found_by_name_by_field_by_guess_or_by_type(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    path = write_json(make_feature(SQUARE, kind="Building ", label="hut"), make_feature(LINE, kind="road"))
    table, _ = read_features(path, classes=classes)
    assert list(table.class_names) == ["building", "road"]
    table, report = read_features(path, classes=classes, class_field="KIND")
    assert list(table.class_names) == ["building", "road"]
    table, report = read_features(path, classes=classes, class_name="ROAD")
    assert list(table.class_names) == ["road"]
    assert report.skipped == [{"row": 0, "reason": "it is a polygon, but class 'road' takes lines"}]
    path = write_json(make_feature(SQUARE, label="building"), make_feature(SQUARE, label="tree"))
    table, report = read_features(path, classes=classes)
    assert report.skipped == [{"row": 1, "reason": "class 'tree' is not one of building, road, tap"}]


def test_a_field_called_name_is_a_class_only_when_most_of_its_values_are(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    path = write_json(*(make_feature(SQUARE, name=name) for name in ("Building", "City Hall", "School")))
    assert len(read_features(path, classes=classes)[0]) == 3
    path = write_json(*(make_feature(SQUARE, name=name) for name in ("Building", "building", "tree")))
    assert len(read_features(path, classes=classes)[0]) == 2


def test_choices_that_do_not_fit_are_refused(write_json: WriteJson, make_feature: Feature, classes: Classes) -> None:
    path = write_json(make_feature(SQUARE, kind="building"))
    with pytest.raises(VectorError, match=r"has no class field 'typ': choose one of kind\."):
        read_features(path, classes=classes, class_field="typ")
    with pytest.raises(VectorError, match="has no score field 'typ'"):
        read_features(path, classes=classes, score_field="typ")
    with pytest.raises(VectorError, match="no class 'tree': choose one of building, road, tap"):
        read_features(path, classes=classes, class_name="tree")
    with pytest.raises(VectorError, match="does not say which polygons are building or pond"):
        read_features(path, classes={"building": "polygon", "pond": "polygon"})
    with pytest.raises(VectorError, match="has no layers"):
        read_features(path, classes=classes, layer="kind")


def test_scores_out_of_range_are_left_out_and_reported(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    values = [0, 1, "0.25", 87, -2, "high", None, "", -1, "-1"]
    path = write_json(*(make_feature(SQUARE, Confidence=value) for value in values))
    table, report = read_features(path, classes=classes)
    np.testing.assert_allclose(table.scores, [0, 1, 0.25, *[np.nan] * 7])
    assert report.repaired == [
        {"row": 3, "how": "score 87 is not between 0 and 1, it looks like a percentage and was left out"},
        {"row": 4, "how": "score -2 is not between 0 and 1 and was left out"},
        {"row": 5, "how": "score 'high' is not a number and was left out"},
    ]


def test_rows_that_cannot_go_in_are_skipped_with_their_reason(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    ring = [[32.0, 0.0]] * 5
    path = write_json(
        make_feature(None),
        make_feature({"type": "Polygon", "coordinates": []}),
        make_feature({"type": "Polygon", "coordinates": [ring]}),
        make_feature({"type": "Polygon", "coordinates": "many"}),
        make_feature({"type": "Blob", "coordinates": [1, 2]}),
        make_feature(shapely.box(579, 0, 581, 1)),
        make_feature(shapely.box(0, 85, 1, 86)),
        make_feature({"type": "Polygon", "coordinates": [[[32, 0], [float("nan"), 1], [33, 1], [32, 0]]]}),
        make_feature({"type": "LineString", "coordinates": [[32, 0], [32, 0]]}),
        "not a feature",
        make_feature(SQUARE),
    )
    table, report = read_features(path, classes=classes)
    assert table.rows.tolist() == [10]
    reasons = {entry["row"]: entry["reason"] for entry in report.skipped}
    assert list(reasons) == list(range(10))
    assert reasons[0] == "no geometry"
    assert reasons[1] == "its geometry is empty"
    assert "encloses no area" in reasons[2]
    assert "not GeoJSON" in reasons[3]
    assert "not GeoJSON" in reasons[4]
    assert reasons[5] == reasons[6] == "its coordinates lie beyond +-180 or +-85.06 degrees"
    assert reasons[7] == "its coordinates are not finite numbers"
    assert reasons[8] == "its line has no length"
    assert reasons[9] == "it is not a GeoJSON Feature"


def test_a_bowtie_becomes_one_feature_of_its_two_triangles(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    table, report = read_features(write_json(make_feature(SQUARE), make_feature(BOWTIE)), classes=classes)
    assert table.rows.tolist() == [0, 1]
    assert shapely.get_num_geometries(table.geometries).tolist() == [1, 2]
    assert shapely.is_valid(table.geometries).all()
    assert report.repaired == [{"row": 1, "how": "self-intersection repaired, 2 parts"}]


def test_multi_geometries_stay_one_feature_and_of_collections_the_parts_that_fit_are_read(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    two = shapely.MultiPolygon([SQUARE, shapely.box(32.7, 0.3, 32.8, 0.4)])
    nested = shapely.GeometryCollection([POINT, shapely.GeometryCollection([SQUARE, LINE])])
    path = write_json(make_feature(two, **{"class": "building"}), make_feature(nested, **{"class": "building"}))
    table, report = read_features(path, classes=classes)
    assert table.rows.tolist() == [0, 1]
    assert table.geometries[0].equals(two)
    assert table.geometries[1].equals(SQUARE)
    assert report.skipped == []
    assert [entry["row"] for entry in report.repaired] == [1]
    assert "left out 2 parts" in report.repaired[0]["how"]


def test_heights_are_dropped_and_too_many_vertices_simplified(
    write_json: WriteJson, make_feature: Feature, classes: Classes
) -> None:
    round_one = shapely.Point(32.6, 0.35).buffer(0.001, quad_segs=4000)
    raised = shapely.force_3d(SQUARE, 1200.0)
    table, report = read_features(write_json(make_feature(round_one), make_feature(raised)), classes=classes)
    assert shapely.get_num_coordinates(table.geometries[0]) <= 10_000
    assert not shapely.has_z(table.geometries).any()
    assert [entry["row"] for entry in report.repaired] == [0]
    assert report.repaired[0]["how"].startswith("simplified from 16,001 to ")


def test_properties_are_bounded_text(write_json: WriteJson, make_feature: Feature, classes: Classes) -> None:
    values = {"note": "<img src=x onerror=alert(1)>", "n": 7, "x": 0.5, "on": True, "none": None, "list": [1, "a"]}
    path = write_json(make_feature(SQUARE, **values, long="y" * 5000, nul="a\x00b", lone="\ud800"))
    texts = read_features(path, classes=classes)[0].properties[0]
    assert texts.pop("long") == "y" * 999 + "…"
    assert texts == {
        "note": "<img src=x onerror=alert(1)>",
        "n": "7",
        "x": "0.5",
        "on": "true",
        "list": '[1,"a"]',
        "nul": "ab",
        "lone": "?",
    }
    many = {f"field {number}": number for number in range(1, 500)}
    assert len(read_features(write_json(make_feature(SQUARE, **many)), classes=classes)[0].properties[0]) == 64


def test_a_broken_line_of_newline_delimited_geojson_is_one_skipped_row(
    tmp_path: Path, make_feature: Feature, classes: Classes
) -> None:
    line = json.dumps(make_feature(SQUARE))
    path = tmp_path / "rows.ndjson"
    path.write_text(f"\ufeff\x1e{line}\n\n\x1e{line[:50]}\n\x1e{line}\n", encoding="utf-8")
    table, report = read_features(path, classes=classes)
    assert table.rows.tolist() == [0, 2]
    assert [entry["row"] for entry in report.skipped] == [1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.geojson", b"", "is empty"),
        ("noise.geojson", b"\x00\x01\x02", "is named like JSON, but is not one"),
        ("noise.bin", b"\x00\x01\x02", "is in no format known here"),
        ("town.gpkg", b'{"type": "FeatureCollection", "features": []}', "is named like a GeoPackage, but holds JSON"),
        ("town.geojson", b"PAR1....", "is named like JSON, but holds GeoParquet"),
        ("town.geojson", b'{"type": "FeatureCollection", "features": [', "is not sound JSON"),
        ("town.geojson", b'{"type": "FeatureCollection"}', "without a list of features"),
        ("town.json", b'{"type": "Topology"}', "it is TopoJSON: convert it to GeoJSON"),
        ("town.json", b"[" * 100_000, "is not sound JSON"),
        ("town.parquet", b"PAR1" + bytes(40) + b"PAR1", "is not sound GeoParquet"),
        ("town.gpkg", b"SQLite format 3\x00" + bytes(2000), "is damaged"),
        ("town.fgb", b"fgb\x03fgb\x00" + bytes(50), "has no layer with geometries"),
        ("town.shp", b"\x00\x00\x27\x0a" + bytes(50), "lacks the .shx of its Shapefile"),
        ("town.zip", b"PK\x03\x04" + bytes(50), "is a damaged or locked zip"),
        ("town.dbf", b"anything", "is a part of a Shapefile"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_in_one_line(
    name: str, content: bytes, message: str, tmp_path: Path, classes: Classes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VectorError) as caught:
        read_features(path, classes=classes)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert message in text
    assert "\n" not in text


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path, classes: Classes) -> None:
    with pytest.raises(VectorError, match="is missing"):
        read_features(tmp_path / "nowhere.geojson", classes=classes)
    with pytest.raises(VectorError, match="no File Geodatabase and no YOLO folder"):
        read_features(tmp_path, classes=classes)


def test_parquet_without_geometry_and_a_zip_without_a_shapefile_are_refused(
    tmp_path: Path, town: geopandas.GeoDataFrame, classes: Classes
) -> None:
    town.drop(columns="geometry").to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(VectorError, match="Parquet without the geo metadata"):
        read_features(tmp_path / "plain.parquet", classes=classes)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(VectorError, match=r"has no \.shp"):
        read_features(tmp_path / "other.zip", classes=classes)


def test_a_zip_that_points_out_of_itself_writes_nothing_outside(
    tmp_path: Path, town: geopandas.GeoDataFrame, classes: Classes
) -> None:
    inner = tmp_path / "inside" / "deep"
    inner.mkdir(parents=True)
    pyogrio.write_dataframe(town, inner / "evil.shp")
    parts = {part.name: part.read_bytes() for part in inner.iterdir()}
    for part in inner.iterdir():
        part.unlink()
    path = inner / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(f"../../{name}", content)
    table, _ = read_features(path, classes=classes)
    assert len(table) == 3
    assert [found.name for found in tmp_path.rglob("*") if found.is_file()] == ["evil.zip"]


CURVE = struct.pack("<BII", 1, 8, 3) + struct.pack("<6d", 32.0, 0.0, 32.1, 0.1, 32.2, 0.0)


@pytest.mark.parametrize("binary", [b"\x01\x03\x00\x00", b"", CURVE])
def test_a_row_with_damaged_binary_geometry_is_skipped_alone(
    binary: bytes, tmp_path: Path, town: geopandas.GeoDataFrame, classes: Classes
) -> None:
    town.to_parquet(tmp_path / "town.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "town.parquet")
    wkb = table.column("geometry").to_pylist()
    wkb[1] = binary
    place = table.column_names.index("geometry")
    table = table.set_column(place, "geometry", pyarrow.array(wkb, pyarrow.binary()))
    pyarrow.parquet.write_table(table, tmp_path / "town.parquet")
    features, report = read_features(tmp_path / "town.parquet", classes=classes)
    assert features.rows.tolist() == [0, 2]
    assert report.skipped == [{"row": 1, "reason": "its geometry is not sound binary, or curved"}]


def test_an_empty_collection_reads_as_nothing(write_json: WriteJson, classes: Classes) -> None:
    table, report = read_features(write_json(), classes=classes)
    assert (len(table), report.read, report.skipped) == (0, 0, [])


def test_the_outlines_of_kampala_are_read_with_a_report(classes: Classes) -> None:
    path = Path(__file__).parents[2] / "../shared/data/kampala/labels.geojson"
    if not path.exists():
        pytest.skip("the Kampala data is not here")
    table, report = read_features(path, classes=classes)
    assert (report.read, len(table), report.skipped) == (108, 108, [])
    assert report.repaired == [{"row": 101, "how": "self-intersection repaired"}]
    assert shapely.is_valid(table.geometries).all()
    assert table.properties[0] == {"osm_id": "616763436"}
    assert 1 < np.median(area_m2(as_geometries(table.geometries))) < 500
