"""Which format a file has, by its first bytes; its name must not say something else."""

from pathlib import Path
from typing import Literal

from maploop.errors import VectorError

FileKind = Literal["json", "geopackage", "geoparquet", "shapefile", "zip", "flatgeobuf"]

_FIRST_BYTES: tuple[tuple[bytes, FileKind], ...] = (
    (b"SQLite format 3\x00", "geopackage"),
    (b"PAR1", "geoparquet"),
    (b"\x00\x00\x27\x0a", "shapefile"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # an empty one
    (b"fgb\x03fgb", "flatgeobuf"),
)
_SUFFIXES: dict[str, FileKind] = {
    ".geojson": "json",
    ".json": "json",
    ".ndjson": "json",
    ".jsonl": "json",
    ".geojsonl": "json",
    ".geojsons": "json",
    ".geojsonseq": "json",
    ".gpkg": "geopackage",
    ".parquet": "geoparquet",
    ".geoparquet": "geoparquet",
    ".pq": "geoparquet",
    ".shp": "shapefile",
    ".zip": "zip",
    ".shz": "zip",
    ".fgb": "flatgeobuf",
}
_NAMES: dict[FileKind, str] = {
    "json": "JSON",
    "geopackage": "a GeoPackage",
    "geoparquet": "GeoParquet",
    "shapefile": "a Shapefile",
    "zip": "a zip",
    "flatgeobuf": "FlatGeobuf",
}
_READABLE = "GeoJSON, GeoPackage, GeoParquet, Shapefile (zipped too), FlatGeobuf, COCO or Label Studio JSON"
_SHAPEFILE_SIDECARS = frozenset({".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix"})


def sniff(path: Path) -> FileKind:
    """The format of a file. Raises VectorError when it is missing, empty, unknown or not what its name says."""
    suffix = path.suffix.lower()
    if not path.is_file():
        msg = f"{path} is {'not a file' if path.exists() else 'missing'}: give a file of features."
        raise VectorError(msg)
    if suffix in _SHAPEFILE_SIDECARS:
        msg = f"{path} is a part of a Shapefile: give the .shp beside it, or all parts in one zip."
        raise VectorError(msg)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        msg = f"{path} cannot be opened ({error.strerror}): check the permissions."
        raise VectorError(msg) from error
    if not head:
        msg = f"{path} is empty: give a file of features."
        raise VectorError(msg)
    found = _by_content(head)
    expected = _SUFFIXES.get(suffix)
    if found is None:
        what = f"is named like {_NAMES[expected]}, but is not one" if expected else "is in no format known here"
        msg = f"{path} {what}: give {_READABLE}."
        raise VectorError(msg)
    if expected and found != expected:
        msg = f"{path} is named like {_NAMES[expected]}, but holds {_NAMES[found]}: name it as what it is."
        raise VectorError(msg)
    return found


def _by_content(head: bytes) -> FileKind | None:
    for magic, kind in _FIRST_BYTES:
        if head.startswith(magic):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\x1e \t\r\n")
    return "json" if text[:1] in (b"{", b"[") else None
