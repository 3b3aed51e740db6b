"""Zips and gzipped files: unpacked within bounds under names that lead nowhere, then read as what is inside."""

import gzip
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Protocol

from maploop.errors import VectorError
from maploop.vectors.formats.ogr import first_line
from maploop.vectors.formats.sniff import FileKind, is_foreign_xml, is_yolo, sniff
from maploop.vectors.formats.table import SourceTable

MAX_UNZIPPED_BYTES = 4 * 2**30
MAX_MEMBERS = 200_000
MAX_RATIO = 300  # what unpacks to more, and is large, is a bomb: text of coordinates shrinks to a fifth
FREE_BYTES = 256 * 2**20  # that much may be unpacked at any ratio
_CHUNK = 2**20
_MAIN = frozenset(
    {
        *(".shp", ".gpkg", ".fgb", ".kml", ".gml", ".tab", ".mif", ".csv", ".tsv", ".osm", ".xml"),
        *(".geojson", ".json", ".ndjson", ".jsonl", ".geojsonl", ".geojsons", ".geojsonseq"),
        *(".parquet", ".geoparquet", ".pq"),
    }
)
_PARTS = _MAIN | {
    *(".shx", ".dbf", ".prj", ".cpg", ".xsd", ".gfs", ".dat", ".map", ".id", ".ind", ".mid", ".txt", ".yaml", ".yml"),
    *(".gdbtable", ".gdbtablx", ".gdbindexes", ".atx", ".spx", ".freelist"),
}
_GDB_FILE = re.compile(r"^(a[0-9a-f]{8}\..+|gdb|timestamps)$", re.IGNORECASE)

ReadMember = Callable[[Path, FileKind, str | None], list[SourceTable]]


def read_zip(path: Path, layer: str | None, read: ReadMember, shown: Path) -> list[SourceTable]:
    """Every dataset in a zip, or those whose name or layer is `layer`. Raises VectorError."""
    with tempfile.TemporaryDirectory(prefix="maploop-") as name:
        folder = Path(name)
        try:
            _unpack(path, folder, shown)
        except VectorError:
            raise
        except Exception as error:  # bad headers, unknown compression, a password, a cut end
            msg = f"{shown} is a damaged or locked zip ({first_line(error)}): zip it again, without a password."
            raise VectorError(msg) from error
        datasets = _datasets(folder)
        if not datasets:
            msg = (
                f"{shown} has no .shp and no other file of features: zip a Shapefile with its parts, or another format."
            )
            raise VectorError(msg)
        named = [each for each in datasets if each.stem == layer]
        if layer is not None and not named and len(datasets) > 1:
            msg = f"{shown} has no file {layer!r}: choose one of {', '.join(sorted(each.stem for each in datasets))}."
            raise VectorError(msg)
        inner = layer if layer is not None and not named else None
        tables: list[SourceTable] = []
        for dataset in named or datasets:
            try:
                tables += read(dataset, sniff(dataset), inner)
            except VectorError as error:
                raise VectorError(_readable(str(error), folder, shown)) from error
        return tables


def _readable(message: str, folder: Path, shown: Path) -> str:
    """A message about an unpacked file as one about a member of the zip."""
    return message.replace(f"{folder}/", f"{shown}: ").replace(str(folder), str(shown))


def _unpack(path: Path, folder: Path, shown: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir() and _is_wanted(info.filename)]
        if len(members) > MAX_MEMBERS:
            msg = f"{shown} holds {len(members):,} files, more than {MAX_MEMBERS:,}: split it."
            raise VectorError(msg)
        budget = _Budget(path.stat().st_size, shown)
        for info in members:
            target = folder / _safe(info.filename)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, target.open("xb") as file:
                budget.copy(source, file)


def _is_wanted(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    if "__MACOSX" in path.parts or path.name.startswith("."):
        return False
    return path.suffix.lower() in _PARTS or bool(_GDB_FILE.match(path.name) and path.parent.suffix.lower() == ".gdb")


def _safe(name: str) -> Path:
    """A member's path below the folder it is unpacked into, its suffix in small letters."""
    parts = [re.sub(r"[^\w .@()-]", "_", part)[-100:] for part in PurePosixPath(name.replace("\\", "/")).parts]
    parts = [part for part in parts if part.strip(". _")] or ["file"]
    last = Path(parts[-1])
    return Path(*parts[-8:-1], last.stem + last.suffix.lower())


def _datasets(folder: Path) -> list[Path]:
    """The files and folders in an unpacked zip that are datasets, in the order of their names."""
    bases = sorted({each.parent for each in folder.rglob("*.gdbtable")})
    files = sorted(each for each in folder.rglob("*") if each.is_file() and each.suffix in _MAIN)
    files = [each for each in files if not any(base in each.parents for base in bases)]
    files = [each for each in files if not is_foreign_xml(each)] or files  # metadata beside what it is about
    _gather_parts(folder, [each for each in files if each.suffix == ".shp"])
    if not bases and not files and is_yolo(folder):
        return [folder]
    labels = [each for each in files if each.suffix == ".json" and each.name.endswith(".json")]
    return [*bases, *(each for each in files if each.suffix != ".json"), *labels]


def _gather_parts(folder: Path, shapefiles: list[Path]) -> None:
    """Bring parts that a Shapefile lacks and another folder of the zip has, once and under its name, to its side."""
    for shapefile in shapefiles:
        for suffix in (".shx", ".dbf", ".prj", ".cpg"):
            part = shapefile.with_suffix(suffix)
            found = [each for each in folder.rglob(f"*{suffix}") if each.stem == shapefile.stem]
            if not part.exists() and len(found) == 1 and not found[0].with_suffix(".shp").exists():
                found[0].rename(part)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...


class _Budget:
    """How much may still be unpacked of one file."""

    def __init__(self, packed: int, shown: Path) -> None:
        self.shown = shown
        self.allowed = min(MAX_UNZIPPED_BYTES, max(FREE_BYTES, packed * MAX_RATIO))
        self.used = 0

    def copy(self, source: _Readable, target: _Writable) -> None:
        """Copy all there is. Raises VectorError when it is too much, whatever its header said."""
        while chunk := source.read(_CHUNK):
            self.used += len(chunk)
            if self.used > self.allowed:
                msg = (
                    f"{self.shown} unpacks to more than {self.allowed // 2**20:,} MB: split it, or unpack it yourself."
                )
                raise VectorError(msg)
            target.write(chunk)


def read_gzip(path: Path, read: Callable[[Path, FileKind], list[SourceTable]], shown: Path) -> list[SourceTable]:
    """Unpack a gzipped file. Raises VectorError."""
    name = path.name[:-3] if path.suffix.lower() == ".gz" else path.name
    with tempfile.TemporaryDirectory(prefix="maploop-") as folder:
        target = Path(folder) / _safe(name)
        try:
            with gzip.open(path) as source, target.open("wb") as file:
                _Budget(path.stat().st_size, shown).copy(source, file)
        except (OSError, EOFError, zlib.error) as error:
            msg = f"{shown} is a damaged gzip ({first_line(error)}): pack it again."
            raise VectorError(msg) from error
        try:
            kind = sniff(target)
            if kind in ("gzip", "zip"):
                msg = f"{shown} holds {'another gzip' if kind == 'gzip' else 'a zip'}: unpack it once."
                raise VectorError(msg)
            return read(target, kind)
        except VectorError as error:
            raise VectorError(_readable(str(error), Path(folder), shown)) from error
