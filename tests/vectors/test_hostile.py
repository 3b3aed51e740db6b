"""Whatever bytes are given, reading ends in a report or in a VectorError."""

import json
import zipfile
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from maploop.errors import VectorError
from maploop.vectors.features import FeatureTable, ReadReport
from maploop.vectors.geometry import GeometryType
from maploop.vectors.read import read_features

CLASSES: dict[str, GeometryType] = {"building": "polygon", "road": "line", "tap": "point"}
SUFFIXES = [".geojson", ".json", ".geojsonl", ".gpkg", ".parquet", ".shp", ".zip", ".fgb", ".bin"]
FIRST_BYTES = [b"", b"{", b"[", b"SQLite format 3\x00", b"PAR1", b"\x00\x00\x27\x0a", b"PK\x03\x04", b"fgb\x03fgb\x00"]
hostile = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_refuse(path: Path, **choices: Any) -> None:
    """Read, and look at what came of it."""
    try:
        table, report = read_features(path, classes=CLASSES, **choices)
    except VectorError as error:
        message = str(error)
    else:
        check(table, report)
        return
    assert "\n" not in message
    assert len(message) < 600


def check(table: FeatureTable, report: ReadReport) -> None:
    """Every row is accounted for, and what went in is sound."""
    kept, skipped = set(table.rows.tolist()), [entry["row"] for entry in report.skipped]
    assert kept.isdisjoint(skipped)
    assert sorted(kept | set(skipped)) == list(range(report.read))
    assert {entry["row"] for entry in report.repaired} <= kept
    assert shapely.is_valid(table.geometries).all()
    assert not shapely.is_empty(table.geometries).any()
    assert not shapely.has_z(table.geometries).any()
    kinds = {"Polygon": "polygon", "LineString": "line", "Point": "point"}
    kinds |= {"MultiPolygon": "polygon", "MultiLineString": "line"}
    assert all(
        CLASSES[name] == kinds[item.geom_type] for name, item in zip(table.class_names, table.geometries, strict=True)
    )
    assert len(table.scores) == len(table.properties) == len(table)
    assert all(isinstance(text, str) and len(text) <= 1000 for row in table.properties for text in row.values())
    json.dumps(report.skipped + report.repaired).encode()


@hostile
@given(suffix=st.sampled_from(SUFFIXES), start=st.sampled_from(FIRST_BYTES), rest=st.binary(max_size=2000))
def test_noise_under_any_name_is_refused(suffix: str, start: bytes, rest: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(start + rest)
    read_or_refuse(path)


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a sound file under each suffix."""
    folder = tmp_path_factory.mktemp("sound")
    boxes = [shapely.box(x, 0.3, x + 0.001, 0.301) for x in np.linspace(32, 33, 20)]
    frame = geopandas.GeoDataFrame({"class": ["building"] * 20, "score": [0.5] * 20}, geometry=boxes, crs=4326)
    for suffix in (".geojson", ".gpkg", ".shp", ".fgb"):
        pyogrio.write_dataframe(frame, folder / f"town{suffix}")
    pyogrio.write_dataframe(frame, folder / "town.geojsonl", driver="GeoJSONSeq")
    frame.to_parquet(folder / "town.parquet")
    with zipfile.ZipFile(folder / "town.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for part in ("shp", "shx", "dbf", "prj", "cpg"):
            archive.write(folder / f"town.{part}", f"town.{part}")
    return {found.suffix: found.read_bytes() for found in folder.iterdir()}


@hostile
@given(
    suffix=st.sampled_from([".geojson", ".geojsonl", ".gpkg", ".parquet", ".shp", ".zip", ".fgb"]),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    kept=st.floats(0.01, 1) | st.just(1.0),
)
def test_a_sound_file_with_flipped_bytes_or_a_cut_end_is_read_or_refused(
    suffix: str, edits: list[tuple[float, int]], kept: float, sound_files: dict[str, bytes], tmp_path: Path
) -> None:
    content = bytearray(sound_files[suffix])
    for place, value in edits:
        content[int(place * len(content))] = value
    path = tmp_path / f"town{suffix}"
    path.write_bytes(content[: int(len(content) * kept)])
    if suffix == ".shp":
        for part in (".dbf", ".shx", ".prj"):
            (tmp_path / f"town{part}").write_bytes(sound_files[part])
    read_or_refuse(path)


words = st.sampled_from(["building", "road", "tree", "OAM-309613-261632-19.png", "<img src=x onerror=alert(1)>"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | words
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3))
numbers = st.integers(-200, 200) | st.floats(-90, 90) | scalars
positions = st.lists(numbers, min_size=1, max_size=4)
coordinates = st.recursive(positions, lambda inner: st.lists(inner, max_size=6), max_leaves=12) | anything
kinds = st.sampled_from(
    ["Polygon", "MultiPolygon", "LineString", "MultiLineString", "Point", "MultiPoint", "GeometryCollection", "Blob"]
)
geometries = st.fixed_dictionaries({"type": kinds | anything, "coordinates": coordinates})
fields = st.dictionaries(st.sampled_from(["class", "score", "name", "x"]), anything)
geojson_features = st.fixed_dictionaries(
    {"type": st.just("Feature"), "geometry": geometries | anything},
    optional={
        "properties": st.dictionaries(st.sampled_from(["class", "score", "name", "x"]), anything),
        "id": anything,
    },
)
geojson = st.fixed_dictionaries(
    {"type": st.just("FeatureCollection"), "features": st.lists(geojson_features | anything, max_size=6)},
    optional={"crs": anything},
)
masks = st.fixed_dictionaries(
    {"size": st.lists(st.integers(-1, 12) | scalars, max_size=3), "counts": st.text(max_size=8) | anything}
)
flat = st.lists(st.integers(0, 600) | scalars, max_size=12)
coco_annotations = st.fixed_dictionaries(
    {"image_id": st.integers(0, 2) | anything, "category_id": st.integers(0, 2)},
    optional={
        "segmentation": st.lists(flat | anything, max_size=3) | masks | anything,
        "bbox": flat | anything,
        "keypoints": flat | anything,
        "score": scalars,
        "id": anything,
    },
)
coco = st.fixed_dictionaries(
    {
        "images": st.lists(
            st.fixed_dictionaries(
                {"id": st.integers(0, 2) | anything, "file_name": words | anything},
                optional={"width": st.integers(-1, 600) | anything, "height": st.integers(-1, 600) | anything},
            ),
            max_size=3,
        ),
        "annotations": st.lists(coco_annotations | anything, max_size=5),
        "categories": st.lists(
            st.fixed_dictionaries({"id": st.integers(0, 2) | anything, "name": words | anything}) | anything, max_size=3
        ),
    }
)
regions = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["polygonlabels", "rectanglelabels", "keypointlabels", "vectorlabels", "choices"]),
        "value": st.dictionaries(
            st.sampled_from(["points", "x", "y", "width", "height", "rotation", "vertices", "closed", "polygonlabels"]),
            numbers | coordinates,
        ),
    },
    optional={"original_width": numbers, "original_height": numbers, "score": scalars},
)
answers = st.lists(st.fixed_dictionaries({"result": st.lists(regions | anything, max_size=3)}) | anything, max_size=3)
tasks = st.lists(
    st.fixed_dictionaries(
        {"data": st.dictionaries(words, words | anything, max_size=2) | anything},
        optional={"annotations": answers | anything, "predictions": answers | anything},
    )
    | anything,
    max_size=3,
)


@hostile
@given(document=geojson | coco | tasks | anything)
@example(document={"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Polygon"}}]})
@example(document={"images": [{"id": 1, "file_name": ""}], "annotations": [{}], "categories": []})
@example(document=[{"data": {"image": "http://[bad"}, "annotations": [{"result": [{}]}]}])
def test_json_of_any_shape_is_read_or_refused(document: object, tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    read_or_refuse(path)
    read_or_refuse(path, class_name="building", source_crs="EPSG:3857")


@hostile
@given(outlines=st.lists(st.lists(st.tuples(*[st.integers(-8, 8)] * 2), min_size=1, max_size=9), max_size=6))
def test_scribbled_outlines_come_out_valid(outlines: list[list[tuple[int, int]]], tmp_path: Path) -> None:
    shapes = [{"type": "Polygon", "coordinates": [[[x / 1e4, y / 1e4] for x, y in outline]]} for outline in outlines]
    features = [{"type": "Feature", "geometry": shape, "properties": {}} for shape in shapes]
    path = tmp_path / "scribbles.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    read_or_refuse(path)
