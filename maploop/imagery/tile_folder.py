"""A folder of ready tiles: `z/x/y.png` or file names that end in `x-y-z`."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maploop.errors import ImageryError
from maploop.imagery.decode import MAX_BYTES, decode
from maploop.imagery.info import Bounds, Scheme, SourceInfo
from maploop.imagery.tilemath import Tile, tile_of_file
from maploop.imagery.wms_capabilities import parse_xml

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif"}
TIFF_SUFFIXES = {".tif", ".tiff"}  # read where they hold another image: peers publish JPEG tiles under such names
TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
TMS_FILE = "tilemapresource.xml"
DEEPEST = 4  # zooms a tile is assembled from, at most
OVERZOOM = 5  # zooms a tile is enlarged over, at most
EXAMPLES = "z/x/y.png, or names ending in x-y-z such as site-1238448-1046528-21.png"


def describe_tile_folder(folder: Path, scheme: Scheme | None = None) -> SourceInfo:
    """What a folder of tiles holds, from its file names and one image.

    Without a `scheme`, rows count from the south where a `tilemapresource.xml` lies, else from the north. Raises
    ImageryError.
    """
    folder = folder.resolve()
    scheme = scheme or ("tms" if is_tms(folder) else "xyz")
    index = _index(folder, scheme)
    first = next(iter(index.files.values()))
    zooms = {tile.z for tile in index.files}
    return SourceInfo(
        kind="tile_folder",
        location=str(folder),
        bounds=_union(index.leaves()),
        min_zoom=min(zooms),
        max_zoom=max(zooms),
        tile_size=_load(first, folder).width,
        scheme=scheme,
    )


def is_tms(folder: Path) -> bool:
    """Whether a `tilemapresource.xml` says that rows count from the south. Raises ImageryError for a geodetic grid."""
    try:
        text = (folder / TMS_FILE).read_bytes()[:MAX_BYTES]
    except OSError:
        return False
    sets = parse_xml(text).find("TileSets")
    if sets is not None and "geodetic" in sets.get("profile", ""):
        msg = f"{str(folder)!r} has tiles in degrees (geodetic): make mercator ones, gdal2tiles.py --profile=mercator."
        raise ImageryError(msg)
    return True


class TileFolderSource:
    """Tiles of one folder, assembled from deeper tiles where there are, enlarged from shallower ones where not."""

    def __init__(self, info: SourceInfo) -> None:
        self.info = info
        self._folder = Path(info.location)
        self._index = _index(self._folder, info.scheme)
        named = "" if info.scheme == "xyz" else f" {info.scheme}"
        self.fingerprint = hashlib.sha256(f"{info!r} {self._index.fingerprint}{named}".encode()).hexdigest()[:16]

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        """Pixels of a tile, (size, size, 4) RGBA, alpha 0 where there is no data. Raises ImageryError."""
        step = 2**DEEPEST
        whole = -(-size // step) * step  # halves evenly all the way down
        image = self._compose(tile, whole, DEEPEST) or self._from_above(tile, whole)
        if image is None:
            return np.zeros((size, size, 4), dtype=np.uint8)
        return np.asarray(_resized(image, size)).copy()

    def tiles_at(self, zoom: int) -> Iterator[Tile]:
        """Tiles of a zoom with a file of their own or deeper; beyond the deepest zoom, what lies below its files.

        Shallower files are left out where there are deeper ones: their edges are mostly empty ground.
        """
        deepest = self.info.max_zoom
        if zoom > deepest:
            if zoom - deepest <= OVERZOOM:
                for tile in sorted(tile for tile in self._index.files if tile.z == deepest):
                    yield from tile.children(zoom)
            return
        found = {tile.parent(zoom) for tile in self._index.files if tile.z >= zoom}
        yield from (tile for tile in sorted(found) if self._reaches(tile))

    def _reaches(self, tile: Tile, depth: int = DEEPEST) -> bool:
        if tile in self._index.files:
            return True
        if depth == 0 or tile not in self._index.parents:
            return False
        return any(self._reaches(child, depth - 1) for child in tile.children(tile.z + 1))

    def _compose(self, tile: Tile, size: int, depth: int) -> Image.Image | None:
        """The tile from its own file or from deeper ones, whichever has the pixels that `size` asks for."""
        own = self._index.files.get(tile)
        if depth and tile in self._index.parents and (own is None or size > self.info.tile_size):
            canvas = Image.new("RGBA", (size, size))
            half = size // 2
            for child in tile.children(tile.z + 1):
                part = self._compose(child, half, depth - 1) or self._from_above(child, half)
                if part is not None:
                    canvas.paste(part, ((child.x & 1) * half, (child.y & 1) * half))
            return canvas
        return _resized(_load(own, self._folder), size) if own else None

    def _from_above(self, tile: Tile, size: int) -> Image.Image | None:
        """The tile cut out of the nearest shallower one and enlarged."""
        for zoom in range(tile.z - 1, max(tile.z - OVERZOOM, 0) - 1, -1):
            above = tile.parent(zoom)
            if path := self._index.files.get(above):
                image = _load(path, self._folder)
                side = image.width / 2 ** (tile.z - zoom)
                left, top = (tile.x - (above.x << tile.z - zoom)) * side, (tile.y - (above.y << tile.z - zoom)) * side
                box = (left, top, left + side, top + side)
                return image.resize((size, size), Image.Resampling.BILINEAR, box=box)
        return None


@dataclass(frozen=True)
class _Index:
    """The files by tile, and every tile that has a file somewhere below it."""

    files: dict[Tile, Path]
    parents: set[Tile]
    fingerprint: str

    def leaves(self) -> Iterator[Tile]:
        """Tiles with nothing below them: together they are the ground that is covered."""
        return (tile for tile in self.files if tile not in self.parents)


def _index(folder: Path, scheme: Scheme) -> _Index:
    if not folder.is_dir():
        msg = f"{str(folder)!r} is not a folder: give a folder of tiles ({EXAMPLES})."
        raise ImageryError(msg)
    files: dict[Tile, Path] = {}
    identity = hashlib.sha256()
    for path, status in _walk(folder):
        tile = _placed(tile_of_file(path.relative_to(folder)), scheme)
        if tile is not None and tile not in files:
            files[tile] = path
            identity.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="surrogateescape"))
    if not files:
        msg = f"{str(folder)!r} holds no tiles: name them {EXAMPLES}."
        raise ImageryError(msg)
    parents: set[Tile] = set()
    for tile in files:
        above = tile
        while above.z and (above := above.parent(above.z - 1)) not in parents:
            parents.add(above)
    return _Index(files, parents, identity.hexdigest())


def _placed(tile: Tile | None, scheme: Scheme) -> Tile | None:
    """The tile that a file is, of the one its name reads as in the XYZ scheme."""
    if tile is None or scheme == "xyz":
        return tile
    return Tile(tile.z, tile.x, 2**tile.z - 1 - tile.y) if scheme == "tms" else Tile(tile.z, tile.y, tile.x)


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Image files in a stable order. Links that lead out of the folder are not followed."""
    for root, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            suffix = path.suffix.lower()
            if suffix not in SUFFIXES and suffix not in TIFF_SUFFIXES:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(folder):
                continue
            if path.is_file() and not (suffix in TIFF_SUFFIXES and is_tiff(path)):
                yield path, path.stat()


def is_tiff(path: Path) -> bool:
    """Whether a file begins as a TIFF does; one that cannot be read does not."""
    try:
        with path.open("rb") as file:
            return file.read(4) in TIFF_STARTS
    except OSError:
        return False


def _load(path: Path, folder: Path) -> Image.Image:
    name = str(path.relative_to(folder))
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        msg = f"{name!r} cannot be read ({error.strerror}): put it back or import the folder again."
        raise ImageryError(msg) from error
    if len(data) > MAX_BYTES:
        msg = f"{name!r} is larger than {MAX_BYTES // 1_000_000} MB: a tile is a small image."
        raise ImageryError(msg)
    return decode(data, name)


def _resized(image: Image.Image, size: int) -> Image.Image:
    return image if image.width == size else image.resize((size, size), Image.Resampling.BILINEAR)


def _union(tiles: Iterator[Tile]) -> Bounds:
    west, south, east, north = np.array([tile.bounds for tile in tiles]).T
    return float(west.min()), float(south.min()), float(east.max()), float(north.max())
