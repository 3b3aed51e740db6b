"""GeoPackage, Shapefile, FlatGeobuf, KML, GML, OSM XML, MapInfo and File Geodatabase, by way of pyogrio."""

import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.errors import VectorError
from maploop.vectors.formats.table import SourceTable
from maploop.vectors.geometry import as_geometries

_NATIVE_TAB = re.compile(rb"^\s*type\s+native\b", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(r'"((?:[^"\\\\]|\\\\.)*)"=>"((?:[^"\\\\]|\\\\.)*)"')  # as GDAL writes other_tags
_OF_KML = frozenset(
    {
        *("timestamp", "begin", "end", "altitudeMode", "tessellate", "extrude", "visibility", "drawOrder", "icon"),
        *("gml_id", "lowerCorner", "upperCorner"),
    }
)


def read_ogr(path: Path, layer: str | None, kind: str, *, shown: Path | None = None) -> list[SourceTable]:
    """Every layer with geometries, or the one named. `shown` is the path for messages. Raises VectorError.

    Nothing that a file points at is opened: no schema on a server, no other table.
    """
    unpacked = shown is not None and shown != path
    shown = shown or path
    path = path.resolve()  # GDAL takes some names that are not absolute for connections
    _check_parts(path, shown, may_make_index=unpacked)
    if kind == "gml" and not unpacked:
        with tempfile.TemporaryDirectory(
            prefix="maploop-"
        ) as folder:  # as GDAL writes what it found out beside the file
            linked = Path(folder) / path.name
            linked.symlink_to(path)
            if path.with_suffix(".xsd").is_file():
                linked.with_suffix(".xsd").symlink_to(path.with_suffix(".xsd"))
            return _read_layers(linked, layer, kind, shown)
    return _read_layers(path, layer, kind, shown)


def _read_layers(path: Path, layer: str | None, kind: str, shown: Path) -> list[SourceTable]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what GDAL warns of is checked row by row later
            pyogrio.set_gdal_config_options(
                {"GML_DOWNLOAD_WFS_SCHEMA": "NO", "GML_SKIP_RESOLVE_ELEMS": "ALL", "SHAPE_RESTORE_SHX": "YES"}
            )
            names = [str(name) for name, of in pyogrio.list_layers(path) if of is not None]
            if kind == "osm":
                names = [name for name in names if name != "other_relations"]
            if layer is not None and layer not in names:
                msg = f"{shown} has no layer {layer!r}: choose one of {', '.join(names) or 'none'}."
                raise VectorError(msg)
            tables = [_read_layer(path, name) for name in ([layer] if layer is not None else names)]
    except VectorError:
        raise
    except Exception as error:  # a damaged file may fail anywhere inside GDAL
        msg = f"{shown} is damaged ({first_line(error)}): export it again."
        raise VectorError(msg) from error
    if not tables:
        msg = f"{shown} has no layer with geometries: give a file of features."
        raise VectorError(msg)
    for table in tables if kind in ("osm", "kml", "gml") else ():
        table.properties = [_tags(row) if kind == "osm" else _told(row) for row in table.properties]
        table.is_tagged = kind == "osm"
    return tables


def _check_parts(path: Path, shown: Path, *, may_make_index: bool) -> None:
    """Refuse what is only part of a dataset, or stands for another file. Raises VectorError.

    GDAL makes the index of a Shapefile anew beside it, which it may do in a folder of our own only.
    """
    suffix = path.suffix.lower()
    if (
        suffix == ".shp"
        and not may_make_index
        and not any(path.with_suffix(each).exists() for each in (".shx", ".SHX"))
    ):
        msg = f"{shown} lacks the .shx of its Shapefile: give all parts, best in one zip."
        raise VectorError(msg)
    if suffix == ".tab":
        with path.open("rb") as file:
            head = file.read(65536)
        if not _NATIVE_TAB.search(head):
            msg = f"{shown} is a MapInfo table that stands for other files: save it as a native table or as GeoPackage."
            raise VectorError(msg)
        if not any(path.with_suffix(each).exists() for each in (".dat", ".DAT")):
            msg = f"{shown} lacks the .dat of its MapInfo table: give all parts, best in one zip."
            raise VectorError(msg)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the fields that every KML or GML has by itself."""
    return {name: value for name, value in row.items() if name not in _OF_KML}


def _tags(row: dict[str, Any]) -> dict[str, Any]:
    """A row of OSM with all its tags as fields."""
    tags = {name: value for name, value in row.items() if name not in ("other_tags", "z_order")}
    for name, value in _TAG.findall(str(row.get("other_tags") or "")):
        tags.setdefault(name.replace('\\"', '"'), value.replace('\\"', '"'))
    return tags


def _read_layer(path: Path, layer: str) -> SourceTable:
    meta, _, wkb, columns = pyogrio.raw.read(path, layer=layer, force_2d=True, datetime_as_string=True)
    fields = [str(name) for name in meta["fields"]]
    count = len(wkb) if wkb is not None else 0
    if fields and count:
        properties = [dict(zip(fields, row, strict=True)) for row in zip(*map(_as_list, columns), strict=True)]
    else:
        properties = [{} for _ in range(count)]
    geometries, problems = geometries_from_wkb(wkb)
    return SourceTable(geometries, properties, _crs(meta["crs"]), problems)


def _as_list(column: NDArray[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    return values


def geometries_from_wkb(wkb: object) -> tuple[NDArray[np.object_], dict[int, str]]:
    """Well-known binary, None where there is none -> geometries, and the rows whose bytes are no geometry."""
    binary = as_geometries(wkb)
    try:
        geometries = as_geometries(shapely.from_wkb(binary, on_invalid="ignore"))
    except NotImplementedError:  # curves, which one row may have and the others not
        geometries = as_geometries([_geometry_from_wkb(item) for item in binary])
    broken = [row for row in np.flatnonzero(shapely.is_missing(geometries)).tolist() if binary[row] is not None]
    return geometries, dict.fromkeys(broken, "its geometry is not sound binary, or curved")


def _geometry_from_wkb(binary: object) -> BaseGeometry | None:
    try:
        return shapely.from_wkb(binary, on_invalid="ignore")  # type: ignore[call-overload, no-any-return]
    except NotImplementedError:
        return None


def _crs(text: str | None) -> pyproj.CRS | None:
    """The layer's CRS; None for the placeholders that stand for an unknown one."""
    crs = pyproj.CRS.from_user_input(text) if text else None
    return None if crs is None or crs.is_engineering or "undefined" in crs.name.lower() else crs


def first_line(error: BaseException) -> str:
    """The start of a library's message, short enough to stand inside ours."""
    lines = str(error).strip().splitlines()
    text = lines[0].rstrip(".") if lines else type(error).__name__
    return text if len(text) <= 120 else text[:119] + "…"
