"""Files are read in a process of their own: the same answer, and no file that takes the app with it."""

import os
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import shapely
from shapely.geometry import box

from maploop.errors import VectorError
from maploop.settings import get_settings
from maploop.vectors.geometry import GeometryType
from maploop.vectors.read import read_features
from maploop.vectors.subprocess_reader import read_features_in_subprocess

CLASSES: dict[str, GeometryType] = {"building": "polygon", "road": "line"}


def children() -> set[str]:
    """Ids of this process's children."""
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


def a_geopackage(path: Path) -> Path:
    frame = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[box(32.5, 0.3, 32.501, 0.301)], crs="EPSG:4326")
    frame.to_file(path, layer="roofs", driver="GPKG")
    return path


def test_it_reads_as_the_reader_itself_does(tmp_path: Path) -> None:
    path = tmp_path / "mixed.geojson"
    path.write_text(
        """{"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"class": "building", "score": 0.5, "note": "\\u00e9"},
         "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1e-4, 0], [1e-4, 1e-4], [0, 1e-4], [0, 0]]]}},
        {"type": "Feature", "properties": {"class": "castle"}, "geometry": {"type": "Point", "coordinates": [0, 0]}},
        {"type": "Feature", "properties": {"class": "road"}, "geometry": null},
        {"type": "Feature", "properties": {"class": "road"},
         "geometry": {"type": "LineString", "coordinates": [[0, 0], [1e-4, 1e-4]]}}]}""",
        encoding="utf-8",
    )
    here, there = read_features(path, classes=CLASSES), read_features_in_subprocess(path, classes=CLASSES)
    assert there[1] == here[1]
    assert there[0].rows.tolist() == here[0].rows.tolist()
    assert there[0].class_names.tolist() == here[0].class_names.tolist()
    assert there[0].properties == here[0].properties
    np.testing.assert_array_equal(there[0].scores, here[0].scores)
    assert shapely.equals_exact(there[0].geometries, here[0].geometries).all()


def test_trouble_with_the_file_is_told_in_the_reader_s_words(tmp_path: Path) -> None:
    path = tmp_path / "none.geojson"
    with pytest.raises(VectorError) as told:
        read_features(path, classes=CLASSES)
    with pytest.raises(VectorError) as told_there:
        read_features_in_subprocess(path, classes=CLASSES)
    assert str(told_there.value) == str(told.value)


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.geojsonl"
    ring = ", ".join(f"[{32.5 + step * 1e-6}, {0.3 + step % 2 * 1e-6}]" for step in range(60))
    row = f'{{"type": "Feature", "properties": {{}}, "geometry": {{"type": "LineString", "coordinates": [{ring}]}}}}\n'
    path.write_text(row * 60_000, encoding="utf-8")
    monkeypatch.setenv("MAPLOOP_IMPORT_SECONDS", "1")
    get_settings.cache_clear()
    before = children()
    with pytest.raises(VectorError, match=r"long\.geojsonl (takes longer than 1 s to read|cannot be read)"):
        read_features_in_subprocess(path, classes=CLASSES)
    assert children() == before


def test_more_rows_than_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "equal.parquet"
    roof = box(32.5, 0.3, 32.501, 0.301).wkb
    rows = 3_000_000
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([roof]))
    geo = b'{"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB", '
    geo += b'"geometry_types": ["Polygon"]}}}'
    table = pa.table({"geometry": column.cast(pa.binary())}).replace_schema_metadata({b"geo": geo})
    pyarrow.parquet.write_table(table, path)
    assert path.stat().st_size < 200_000
    monkeypatch.setenv("MAPLOOP_IMPORT_MEGABYTES", "400")
    get_settings.cache_clear()
    with pytest.raises(VectorError, match=r"equal\.parquet"):
        read_features_in_subprocess(path, classes=CLASSES)


def test_somebody_who_does_not_want_it_any_more_ends_it(tmp_path: Path) -> None:
    class CancelledError(BaseException):
        pass

    def cancel(_: str) -> None:
        raise CancelledError

    before = children()
    with pytest.raises(CancelledError):
        read_features_in_subprocess(a_geopackage(tmp_path / "roofs.gpkg"), progress=cancel, classes=CLASSES)
    assert children() == before
