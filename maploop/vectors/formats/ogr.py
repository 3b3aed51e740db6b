"""GeoPackage, Shapefile (plain or zipped) and FlatGeobuf, by way of pyogrio."""

import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path, PurePosixPath
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

MAX_UNZIPPED_BYTES = 4 * 2**30
_SHAPEFILE_PARTS = frozenset({".shp", ".shx", ".dbf", ".prj", ".cpg"})


def read_ogr(path: Path, layer: str | None, *, shown: Path | None = None) -> list[SourceTable]:
    """Every layer with geometries, or the one named. `shown` is the path for messages. Raises VectorError."""
    shown = shown or path
    path = path.resolve()  # GDAL takes some names that are not absolute for connections
    if path.suffix.lower() == ".shp" and not any(path.with_suffix(suffix).exists() for suffix in (".shx", ".SHX")):
        msg = f"{shown} lacks the .shx of its Shapefile: give all parts, best in one zip."
        raise VectorError(msg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what GDAL warns of is checked row by row later
            names = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
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
    return tables


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


def read_zip(path: Path, layer: str | None) -> list[SourceTable]:
    """Every Shapefile in a zip, or the one whose name is `layer`. Raises VectorError.

    Members are unpacked under names made here, so that no path inside the zip leads anywhere.
    """
    with tempfile.TemporaryDirectory(prefix="maploop-") as folder:
        try:
            shapefiles = _unpack(path, Path(folder), layer)
        except VectorError:
            raise
        except Exception as error:  # bad headers, unknown compression, a password, a cut end
            msg = f"{path} is a damaged or locked zip ({first_line(error)}): zip it again, without a password."
            raise VectorError(msg) from error
        return [table for shapefile in shapefiles for table in read_ogr(shapefile, None, shown=path)]


def _unpack(path: Path, folder: Path, layer: str | None) -> list[Path]:
    with zipfile.ZipFile(path) as archive:
        members = {
            info.filename: info
            for info in archive.infolist()
            if PurePosixPath(info.filename).suffix.lower() in _SHAPEFILE_PARTS and "__MACOSX" not in info.filename
        }
        stems = [name[:-4] for name in members if name.lower().endswith(".shp")]
        wanted = stems if layer is None else [stem for stem in stems if PurePosixPath(stem).name == layer]
        if not wanted:
            names = ", ".join(PurePosixPath(stem).name for stem in stems)
            what = (
                f"no Shapefile {layer!r}: choose one of {names}" if names else "no .shp: zip a Shapefile with its parts"
            )
            msg = f"{path} has {what}."
            raise VectorError(msg)
        chosen = [(wanted.index(name[:-4]), info) for name, info in members.items() if name[:-4] in wanted]
        if sum(info.file_size for _, info in chosen) > MAX_UNZIPPED_BYTES:
            msg = f"{path} unpacks to more than {MAX_UNZIPPED_BYTES // 2**30} GB: split it."
            raise VectorError(msg)
        for number, info in chosen:
            suffix = PurePosixPath(info.filename).suffix.lower()
            with archive.open(info) as source, (folder / f"{number}{suffix}").open("wb") as target:
                shutil.copyfileobj(source, target)
    return [folder / f"{number}.shp" for number in range(len(wanted))]


def first_line(error: BaseException) -> str:
    """The start of a library's message, short enough to stand inside ours."""
    lines = str(error).strip().splitlines()
    text = lines[0].rstrip(".") if lines else type(error).__name__
    return text if len(text) <= 120 else text[:119] + "…"
