"""GeoParquet, with WKB or native geometry columns; and Parquet with a column of WKB that says nothing of itself."""

import json
from pathlib import Path
from typing import Any

import geopandas
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pyproj

from maploop.errors import VectorError
from maploop.vectors.formats.ogr import first_line, geometries_from_wkb
from maploop.vectors.formats.table import SourceTable
from maploop.vectors.geometry import as_geometries

MAX_ROWS = 10_000_000
MAX_BYTES = 2 * 2**30  # of all values as they are in memory: equal ones are stored once, and a million of them is small
_GEOMETRY = ("geometry", "geom", "wkb_geometry", "wkb")


def read_geoparquet(path: Path, *, shown: Path | None = None) -> SourceTable:
    """The rows of a GeoParquet file with its primary geometry column. Raises VectorError."""
    shown = shown or path
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            metadata = schema.metadata or {}
            geo = json.loads(metadata[b"geo"]) if b"geo" in metadata else _plain_geometry(schema, shown)
            primary = geo["primary_column"]
            column = geo["columns"][primary]
            _check_rows(file, shown)
            is_native = column["encoding"] != "WKB"
            repeated = [each.name for each in schema if _may_repeat(each.type)]
        with pyarrow.parquet.ParquetFile(path, read_dictionary=repeated) as file:
            table = file.read(use_pandas_metadata=False)
            _check_size(table, shown)
            if is_native:
                return _read_native(path)
        geometries, problems = geometries_from_wkb(table.column(primary).to_pylist())
        others = table.drop_columns([name for name in geo["columns"] if name in table.column_names])
        return SourceTable(geometries, _rows(others), _crs(column), problems)
    except VectorError:
        raise
    except Exception as error:  # damaged files fail anywhere inside pyarrow, wrong metadata in the lines above
        msg = f"{shown} is not sound GeoParquet ({first_line(error)}): export it again."
        raise VectorError(msg) from error


def _plain_geometry(schema: Any, shown: Path) -> dict[str, Any]:
    """What GeoParquet would say of Parquet with a binary column called geometry, as DuckDB and Overture write it."""
    types = pyarrow.types
    names = [
        each.name
        for each in schema
        if any(of(_value_type(each.type)) for of in (types.is_binary, types.is_large_binary))
    ]
    found = next((name for name in _GEOMETRY if name in names), None)
    if found is None:
        msg = f"{shown} is Parquet without the geo metadata of GeoParquet: write it with GeoPandas or GDAL."
        raise VectorError(msg)
    return {"primary_column": found, "columns": {found: {"encoding": "WKB", "crs": None}}}


def _check_rows(file: pyarrow.parquet.ParquetFile, shown: Path) -> None:
    if file.metadata.num_rows > MAX_ROWS:
        msg = f"{shown} has {file.metadata.num_rows:,} rows, more than {MAX_ROWS:,}: split it by place."
        raise VectorError(msg)
    unpacked = sum(file.metadata.row_group(each).total_byte_size for each in range(file.metadata.num_row_groups))
    if unpacked > MAX_BYTES:
        raise VectorError(_too_large(shown, unpacked))


def _too_large(shown: Path, size: int) -> str:
    return f"{shown} unpacks to {size / 2**30:.1f} GB, more than {MAX_BYTES // 2**30}: split it by place."


def _value_type(kind: Any) -> Any:
    return kind.value_type if pyarrow.types.is_dictionary(kind) else kind


def _may_repeat(kind: Any) -> bool:
    types, value = pyarrow.types, _value_type(kind)
    return any(of(value) for of in (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary))


def _check_size(table: Any, shown: Path) -> None:
    """Refuse columns whose values, equal ones counted as often as they occur, are too large."""
    total = 0
    for column in table.columns:
        for chunk in column.chunks:
            if isinstance(chunk, pyarrow.DictionaryArray):
                lengths = pyarrow.compute.binary_length(chunk.dictionary)
                total += pyarrow.compute.sum(lengths.take(chunk.indices.drop_null())).as_py() or 0
            else:
                total += chunk.nbytes
    if total > MAX_BYTES:
        raise VectorError(_too_large(shown, total))


def _rows(table: Any) -> list[dict[str, Any]]:
    if not table.num_columns:
        return [{} for _ in range(table.num_rows)]
    columns = [column.to_pylist() for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _crs(column: dict[str, Any]) -> pyproj.CRS | None:
    """A missing crs means OGC:CRS84, null an unknown one (GeoParquet 1.1)."""
    if "crs" not in column:
        return pyproj.CRS.from_user_input("OGC:CRS84")
    return pyproj.CRS.from_user_input(column["crs"]) if column["crs"] else None


def _read_native(path: Path) -> SourceTable:
    frame = geopandas.read_parquet(path)
    attributes = frame.drop(columns=[name for name in frame.columns if frame[name].dtype == "geometry"])
    return SourceTable(as_geometries(frame.geometry.to_numpy()), attributes.to_dict("records"), frame.crs)
