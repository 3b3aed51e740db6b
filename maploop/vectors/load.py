"""A file or folder of features in any format -> tables as the file has them, in the CRS that the file says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from maploop.errors import VectorError
from maploop.vectors.formats.containers import read_gzip, read_zip
from maploop.vectors.formats.documents import json_document, read_json
from maploop.vectors.formats.geopackage import refuse_views
from maploop.vectors.formats.geoparquet import read_geoparquet
from maploop.vectors.formats.ogr import read_ogr
from maploop.vectors.formats.pixels import Pictures
from maploop.vectors.formats.sniff import FileKind, sniff
from maploop.vectors.formats.table import SourceTable
from maploop.vectors.formats.texts import read_csv
from maploop.vectors.formats.tools import read_cvat, read_voc
from maploop.vectors.formats.yolo import read_yolo

LAYERED: frozenset[FileKind] = frozenset({"geopackage", "zip", "filegdb", "kml", "gml", "mapinfo", "osm"})

_ALONE: dict[FileKind, Callable[..., SourceTable]] = {
    "geoparquet": read_geoparquet,
    "csv": read_csv,
    "yolo": read_yolo,
    "cvat": read_cvat,
    "voc": read_voc,
}


def load_tables(
    path: Path, *, layer: str | None = None, images: Path | None = None, image_size: int | None = None
) -> list[SourceTable]:
    """Every layer with geometries, or the one named. Raises VectorError.

    `images` is a COCO file that lists the images of a results list, `image_size` their side in pixels.
    """
    pictures = Pictures(_listing(images), image_size)
    kind = sniff(path)
    if layer is not None and kind not in LAYERED:
        msg = f"{path} has no layers: leave out layer {layer!r}."
        raise VectorError(msg)
    return _read(path, kind, layer, pictures, path)


def _listing(images: Path | None) -> dict[str, Any] | None:
    if images is None:
        return None
    document = json_document(images)
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        msg = f"{images} lists no images: give the COCO file whose images are meant."
        raise VectorError(msg)
    return document


def _read(path: Path, kind: FileKind, layer: str | None, pictures: Pictures, shown: Path) -> list[SourceTable]:
    """Tables of one file of a kind; `shown` is the path for messages: that of the zip it was unpacked from, say."""
    if kind == "zip":
        return read_zip(path, layer, lambda member, its, named: _read(member, its, named, pictures, shown), shown)
    if kind == "gzip":
        return read_gzip(path, lambda member, its: _read(member, its, None, pictures, shown), shown)
    if kind == "json":
        return [read_json(path, pictures, shown=shown)]
    if kind in _ALONE:
        return [_ALONE[kind](path, shown=shown)]
    if kind == "geopackage":
        refuse_views(path, shown=shown)
    return read_ogr(path, layer, kind, shown=shown)
