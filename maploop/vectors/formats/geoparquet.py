"""GeoParquet, with WKB or native geometry columns."""

import json
from pathlib import Path
from typing import Any

import geopandas
import pyarrow.parquet
import pyproj

from maploop.errors import VectorError
from maploop.vectors.formats.ogr import first_line, geometries_from_wkb
from maploop.vectors.formats.table import SourceTable
from maploop.vectors.geometry import as_geometries


def read_geoparquet(path: Path) -> SourceTable:
    """The rows of a GeoParquet file with its primary geometry column. Raises VectorError."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
            if b"geo" not in metadata:
                msg = f"{path} is Parquet without the geo metadata of GeoParquet: write it with GeoPandas or GDAL."
                raise VectorError(msg)
            geo = json.loads(metadata[b"geo"])
            primary = geo["primary_column"]
            column = geo["columns"][primary]
            if column["encoding"] != "WKB":
                return _read_native(path)
            table = file.read(use_pandas_metadata=False)
        geometries, problems = geometries_from_wkb(table.column(primary).to_pylist())
        others = table.drop_columns([name for name in geo["columns"] if name in table.column_names])
        return SourceTable(geometries, _rows(others), _crs(column), problems)
    except VectorError:
        raise
    except Exception as error:  # damaged files fail anywhere inside pyarrow, wrong metadata in the lines above
        msg = f"{path} is not sound GeoParquet ({first_line(error)}): export it again."
        raise VectorError(msg) from error


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
