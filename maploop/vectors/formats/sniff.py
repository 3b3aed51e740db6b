"""Which format a file has, by its first bytes; its name must not say something else."""

import re
from pathlib import Path
from typing import Literal

from maploop.errors import VectorError
from maploop.vectors.formats.folders import files_below, subfolders

FileKind = Literal[
    "json",
    "geopackage",
    "geoparquet",
    "shapefile",
    "zip",
    "gzip",
    "flatgeobuf",
    "csv",
    "kml",
    "gml",
    "osm",
    "mapinfo",
    "filegdb",
    "yolo",
    "cvat",
    "voc",
]

_FIRST_BYTES: tuple[tuple[bytes, FileKind], ...] = (
    (b"SQLite format 3\x00", "geopackage"),
    (b"PAR1", "geoparquet"),
    (b"\x00\x00\x27\x0a", "shapefile"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # an empty one
    (b"\x1f\x8b", "gzip"),
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
    ".kmz": "zip",
    ".gz": "gzip",
    ".fgb": "flatgeobuf",
    ".csv": "csv",
    ".tsv": "csv",
    ".kml": "kml",
    ".gml": "gml",
    ".osm": "osm",
    ".tab": "mapinfo",
    ".mif": "mapinfo",
}
_NAMES: dict[FileKind, str] = {
    "json": "JSON",
    "geopackage": "a GeoPackage",
    "geoparquet": "GeoParquet",
    "shapefile": "a Shapefile",
    "zip": "a zip",
    "gzip": "a gzipped file",
    "flatgeobuf": "FlatGeobuf",
    "csv": "CSV",
    "kml": "KML",
    "gml": "GML",
    "osm": "OSM XML",
    "mapinfo": "a MapInfo file",
    "filegdb": "a File Geodatabase",
    "yolo": "a YOLO folder",
    "cvat": "CVAT XML",
    "voc": "Pascal VOC XML",
}
_ROOTS: dict[str, FileKind] = {
    "kml": "kml",
    "featurecollection": "gml",
    "osm": "osm",
    "annotations": "cvat",
    "annotation": "voc",
}
_READABLE = (
    "GeoJSON, GeoPackage, GeoParquet, Shapefile, FlatGeobuf, KML, GML, CSV with WKT, MapInfo, FileGDB, OSM XML "
    "(zipped or gzipped too), COCO, Label Studio, CVAT, Pascal VOC, labelme or a YOLO folder"
)
_SIDECARS = {
    **dict.fromkeys((".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix"), ("a Shapefile", ".shp")),
    **dict.fromkeys((".dat", ".map", ".id", ".ind"), ("a MapInfo file", ".tab")),
    **dict.fromkeys((".mid",), ("a MapInfo file", ".mif")),
}
_OTHERS = {
    ".osc": "an OSM change file: open it in JOSM and save it as .osm",
    ".pbf": "OSM PBF: convert it with osmium (osmium cat in.osm.pbf -o out.osm) or ogr2ogr",
    ".dxf": "a CAD drawing: convert it to GeoPackage with QGIS or ogr2ogr",
    ".dwg": "a CAD drawing: convert it to GeoPackage with QGIS or ogr2ogr",
    ".gpx": "GPX: convert it to GeoPackage with QGIS or ogr2ogr",
    ".xlsx": "a spreadsheet: save it as CSV with a column of WKT",
}
_ROOT = re.compile(rb"<(?:[\w.-]+:)?([A-Za-z][\w.-]*)[\s/>]")


def sniff(path: Path) -> FileKind:
    """The format of a file or folder. Raises VectorError when it is missing, empty, unknown or not as it is named."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        msg = f"{path} is {'not a file' if path.exists() else 'missing'}: give a file of features."
        raise VectorError(msg)
    if suffix in _SIDECARS:
        what, main = _SIDECARS[suffix]
        msg = f"{path} is a part of {what}: give the {main} beside it, or all parts in one zip."
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
    found, expected = _by_content(head, suffix), _SUFFIXES.get(suffix)
    if found is None and suffix in _OTHERS:
        msg = f"{path} is {_OTHERS[suffix]}."
        raise VectorError(msg)
    if found is None:
        what = f"is named like {_NAMES[expected]}, but is not one" if expected else "is in no format known here"
        msg = f"{path} {what}: give {_READABLE}."
        raise VectorError(msg)
    if expected and found != expected and (expected, found) != ("csv", "json"):  # Microsoft names lines of JSON so
        msg = f"{path} is named like {_NAMES[expected]}, but holds {_NAMES[found]}: name it as what it is."
        raise VectorError(msg)
    return found


def is_foreign_xml(path: Path) -> bool:
    """Tell XML of a format that is not read here, such as the metadata that ArcGIS lays beside a file."""
    with path.open("rb") as file:
        return path.suffix.lower() == ".xml" and _by_content(file.read(4096), ".xml") is None


def _of_folder(folder: Path) -> FileKind:
    if any(folder.glob("*.gdbtable")):
        return "filegdb"
    if is_yolo(folder):
        return "yolo"
    msg = f"{folder} is a folder, but no File Geodatabase and no YOLO folder (labels/*.txt): give a file of features."
    raise VectorError(msg)


def is_yolo(folder: Path) -> bool:
    """Whether a folder holds YOLO labels: text files below its `labels` or a subfolder's, or beside their list."""
    places = (folder / "labels", *(each / "labels" for each in subfolders(folder)))
    if any(path.suffix == ".txt" for place in places if place.is_dir() for path in files_below(place)):
        return True
    listed = any((folder / name).is_file() for name in ("data.yaml", "data.yml", "classes.txt"))
    return (listed or folder.name == "labels") and any(folder.glob("*.txt"))


def _by_content(head: bytes, suffix: str) -> FileKind | None:
    for magic, kind in _FIRST_BYTES:
        if head.startswith(magic):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\x1e \t\r\n")
    if text[:1] in (b"{", b"["):
        return "json"
    if text[:1] == b"<":
        return _by_root(text)
    if suffix in (".tab", ".mif"):
        return "mapinfo" if text[:6].lower() in (b"!table", b"versio") else None
    if suffix in (".csv", ".tsv", "") and b"\x00" not in head and head.count(b"\n"):
        return "csv"
    return None


def _by_root(text: bytes) -> FileKind | None:
    """The kind of an XML file by its first element, whatever comments and instructions come before."""
    match = _ROOT.search(re.sub(rb"<!--.*?-->|<[?!][^>]*>", b"", text, flags=re.DOTALL))
    return _ROOTS.get(match.group(1).decode().lower()) if match else None
