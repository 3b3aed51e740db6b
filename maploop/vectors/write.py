"""Writes features as GeoJSON, GeoPackage, GeoParquet or FlatGeobuf: whole or not at all, equal input as equal bytes."""

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any, Literal, get_args

import geopandas
import pyogrio
import shapely

from maploop.errors import VectorError
from maploop.vectors.formats.ogr import first_line
from maploop.vectors.geometry import GeometryType, geometry_types
from maploop.vectors.write_geojson import write_geojson

VectorFormat = Literal["geojson", "geopackage", "geoparquet", "flatgeobuf"]

_WGS84 = "EPSG:4326"
_LAYERS: dict[GeometryType, tuple[str, str]] = {
    "polygon": ("polygons", "Polygon"),
    "line": ("lines", "LineString"),
    "point": ("points", "Point"),
}
_FIXED_TIME = "2000-01-01T00:00:00Z"  # GeoPackage stores when it was last changed


def write_features(frame: geopandas.GeoDataFrame, path: Path | str, format: VectorFormat) -> None:
    """Write polygons, lines and points with their columns to a new file, or in place of an old one.

    `frame` may be in any CRS; files are EPSG:4326, GeoJSON as in RFC 7946 with 8 decimals (a millimetre). A GeoPackage
    gets a layer for each geometry type; one in which a feature has several parts holds multi-geometries. Raises
    VectorError; what was at `path` is then untouched.
    """
    path = Path(path)
    if format not in get_args(VectorFormat):
        msg = f"{format!r} is not a vector format: use {', '.join(get_args(VectorFormat))}."
        raise VectorError(msg)
    if frame.crs is None:
        msg = f"{path} cannot be written: the features have no CRS, set it first."
        raise VectorError(msg)
    frame = frame.to_crs(_WGS84)
    try:
        folder = Path(tempfile.mkdtemp(prefix=".maploop-", dir=path.parent))
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror}): choose another folder."
        raise VectorError(msg) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _WRITERS[format](frame, folder / path.name)
        (folder / path.name).replace(path)
    except Exception as error:  # whatever GDAL or pyarrow cannot take
        msg = f"{path} cannot be written ({first_line(error)})."
        raise VectorError(msg) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_geopackage(frame: geopandas.GeoDataFrame, path: Path) -> None:
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _FIXED_TIME})
    types = geometry_types(frame.geometry.to_numpy())
    present = [name for name in _LAYERS if (types == name).any()] or ["polygon"]
    for geometry_type in present:
        layer, ogr_type = _LAYERS[geometry_type]
        several = _has_several_parts(frame[types == geometry_type])
        pyogrio.write_dataframe(
            frame[types == geometry_type],
            path,
            driver="GPKG",
            layer=layer,
            geometry_type=f"Multi{ogr_type}" if several else ogr_type,
            promote_to_multi=several,
        )


def _has_several_parts(frame: geopandas.GeoDataFrame) -> bool:
    """Whether a feature has several parts: the layer is then one of multi-geometries, as QGIS wants it."""
    return bool((shapely.get_num_geometries(frame.geometry.to_numpy()) > 1).any())


def _write_geoparquet(frame: geopandas.GeoDataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False, compression="zstd", schema_version="1.1.0")


def _write_flatgeobuf(frame: geopandas.GeoDataFrame, path: Path) -> None:
    types = set(geometry_types(frame.geometry.to_numpy()).tolist())
    ogr_type = _LAYERS[types.pop()][1] if len(types) == 1 else "Unknown"
    several = ogr_type != "Unknown" and _has_several_parts(frame)
    pyogrio.write_dataframe(
        frame,
        path,
        driver="FlatGeobuf",
        geometry_type=f"Multi{ogr_type}" if several else ogr_type,
        promote_to_multi=several,
    )


_WRITERS: dict[VectorFormat, Any] = {
    "geojson": write_geojson,
    "geopackage": _write_geopackage,
    "geoparquet": _write_geoparquet,
    "flatgeobuf": _write_flatgeobuf,
}
