"""Small files that unpack to more than a machine has, or compute without end: refused, and nothing of them is run."""

import gzip
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import shapely

from maploop.errors import VectorError
from maploop.vectors.formats import containers, masks
from maploop.vectors.geometry import GeometryType
from maploop.vectors.read import read_features

WriteJson = Callable[..., Path]
Classes = dict[str, GeometryType]
ZEROS = bytes(2**20)


def zeros(path: Path, megabytes: int, name: str = "town.geojson") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(megabytes):
            member.write(ZEROS)
    return path


def test_a_zip_that_unpacks_without_end_is_refused(
    tmp_path: Path, classes: Classes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "FREE_BYTES", 4 * 2**20)
    bomb = zeros(tmp_path / "bomb.zip", 40)
    with pytest.raises(VectorError, match="unpacks to more than 11 MB: split it"):
        read_features(bomb, classes=classes)
    packed = tmp_path / "town.geojson.gz"
    packed.write_bytes(gzip.compress(ZEROS * 40))
    with pytest.raises(VectorError, match=r"unpacks to more than 11 MB: split it"):
        read_features(packed, classes=classes)


def test_members_of_a_zip_lead_nowhere(tmp_path: Path, classes: Classes, town: geopandas.GeoDataFrame) -> None:
    content = town.to_json().encode()
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "paths.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(
            ("../up.geojson", "/tmp/absolute.geojson", "c:\\windows\\x.geojson", "a/../../b.geojson")
        ):
            archive.writestr(name, content if number == 0 else b'{"type": "FeatureCollection", "features": []}')
    table, _ = read_features(path, classes=classes)
    assert len(table) == 3
    assert [each.name for each in tmp_path.iterdir()] == ["in"]
    assert not Path("/tmp/absolute.geojson").exists()


@pytest.mark.parametrize("large", ["geometry", "name"])
def test_parquet_of_equal_rows_is_refused(large: str, tmp_path: Path, classes: Classes) -> None:
    outline = shapely.to_wkb(shapely.Point(32, 0.3).buffer(0.001, quad_segs=16))
    angles = np.linspace(0, 2 * np.pi, 200_000)
    round_one = shapely.to_wkb(shapely.Polygon(np.column_stack([np.cos(angles), np.sin(angles)])))
    geometry = round_one if large == "geometry" else outline
    name = "x" * 2_000_000 if large == "name" else "x"
    count = 4_000
    indices = pyarrow.array(np.zeros(count, dtype=np.int32))
    columns = {
        "geometry": pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array([geometry])),
        "name": pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array([name])),
    }
    path = tmp_path / "equal.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="zstd")
    assert path.stat().st_size < 8_000_000
    with pytest.raises(VectorError, match=r"unpacks to \d\d?\.\d GB, more than 2: split it by place"):
        read_features(path, classes=classes)


def test_parquet_of_more_rows_than_anybody_has_is_refused(tmp_path: Path, classes: Classes) -> None:
    outline = pyarrow.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))])
    equal = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(11_000_000, dtype=np.int32)), outline)
    path = tmp_path / "many.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"geometry": equal}), path)
    with pytest.raises(VectorError, match="has 11,000,000 rows, more than 10,000,000"):
        read_features(path, classes=classes)


def coco(*segmentations: Any) -> dict[str, Any]:
    rows = [
        {"id": number, "image_id": 1, "category_id": 1, "segmentation": each}
        for number, each in enumerate(segmentations)
    ]
    images = [{"id": 1, "file_name": "19/309613/261632.png", "width": 512, "height": 512}]
    return {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "building"}]}


def test_huge_masks_and_noise_are_refused_by_row(
    write_json: WriteJson, classes: Classes, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = 100_000
    noise = [1] * (256 * 256)
    document = coco(
        {"size": [side, side], "counts": [0, side * side]},
        {"size": [256, 256], "counts": noise},
        {"size": [8, 6], "counts": [10, 3, 35]},
    )
    monkeypatch.setattr(masks, "MAX_PIECES", 100)
    table, report = read_features(write_json(document=document), classes=classes)
    assert table.rows.tolist() == [2]
    assert [each["reason"] for each in report.skipped] == [
        "its run-length mask is damaged: size 100000 x 100000",
        "its run-length mask is damaged: more than 100 areas",
    ]


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS fid, NULL AS geom FROM n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (f"CREATE VIEW endless AS {ENDLESS}", "has a view, 'endless': views are not read"),
        (f"DROP TABLE gpkg_contents; CREATE VIEW gpkg_contents AS {ENDLESS}", "has a view, 'gpkg_contents'"),
        ("CREATE VIRTUAL TABLE text USING fts5(body)", "has a virtual table, 'text'"),
        ("CREATE TABLE counted (fid INTEGER, big TEXT AS (hex(zeroblob(900000000))))", "computed columns in 'counted'"),
    ],
)
def test_a_geopackage_that_computes_is_refused(
    script: str, message: str, tmp_path: Path, classes: Classes, town: geopandas.GeoDataFrame
) -> None:
    path = tmp_path / "town.gpkg"
    town.to_file(path, layer="town")
    assert len(read_features(path, classes=classes)[0]) == 3
    with sqlite3.connect(path) as connection:
        connection.executescript(f"PRAGMA foreign_keys = OFF; {script}")
    connection.close()
    with pytest.raises(VectorError, match=message):
        read_features(path, classes=classes)


def test_files_that_stand_for_others_are_not_followed(tmp_path: Path, classes: Classes) -> None:
    (tmp_path / "secret.csv").write_text("WKT\nPOINT(1 2)\n")
    table = tmp_path / "other.tab"
    table.write_text('!table\n!version 300\nOpen Table "secret" Hide\nCreate View other As Select * From secret\n')
    with pytest.raises(VectorError, match="stands for other files"):
        read_features(table, classes=classes)
    virtual = tmp_path / "virtual.kml"
    source = "<SrcDataSource>secret.csv</SrcDataSource>"
    virtual.write_text(f'<OGRVRTDataSource><OGRVRTLayer name="secret">{source}</OGRVRTLayer></OGRVRTDataSource>')
    with pytest.raises(VectorError, match="is named like KML, but is not one"):
        read_features(virtual, classes=classes)
