"""Tiles of all imagery, drawn once and kept: what the /tiles route and the exports ask."""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maploop.imagery.cache import DiskCache, MemoryCache, SingleFlight
from maploop.imagery.info import ImagerySource
from maploop.imagery.pixels import PixelCoverage
from maploop.imagery.render import Format, blank_tile, check_size, encode, render
from maploop.imagery.tilemath import Tile

RENDERING = 2  # raise it when the same source gives other pixels or bytes than before: old cached tiles are then unused
MEMORY_BYTES = 128_000_000
DISK_BYTES = 2_000_000_000
SLOW_SECONDS = 0.05  # a tile that took longer is kept on disk too
REMOTE_KINDS = {"xyz", "wms"}
_LEAD = struct.Struct("<dI")  # leads every kept value: share, bytes of the mask that follows


@dataclass(frozen=True)
class TileImage:
    """The image file of a tile, and where the tile has pixels."""

    content: bytes
    coverage: PixelCoverage

    @property
    def share(self) -> float:
        """The share of the tile that has pixels, 0 to 1."""
        return self.coverage.share

    def to_bytes(self) -> bytes:
        """As it is kept in the caches."""
        return _LEAD.pack(self.coverage.share, len(self.coverage.mask)) + self.coverage.mask + self.content

    @staticmethod
    def from_bytes(kept: bytes) -> "TileImage":
        """The inverse of `to_bytes`."""
        share, length = _LEAD.unpack_from(kept)
        content = _LEAD.size + length
        return TileImage(kept[content:], PixelCoverage(share, kept[_LEAD.size : content]))


class TileStore:
    """Image files of tiles by imagery; safe to use from many threads, its folder from many processes."""

    def __init__(
        self,
        sources: Callable[[int], ImagerySource],
        cache_folder: Path,
        *,
        memory_bytes: int = MEMORY_BYTES,
        disk_bytes: int = DISK_BYTES,
    ) -> None:
        """`sources` opens the imagery of an id; it is called once an id, until `forget`."""
        self._open = sources
        self._sources: dict[int, ImagerySource] = {}
        self._memory = MemoryCache(memory_bytes)
        self._disk = DiskCache(cache_folder, disk_bytes)
        self._flight = SingleFlight()

    def source(self, imagery_id: int) -> ImagerySource:
        """The open source of an imagery. Raises whatever opening it raises, and tries again the next time."""
        if found := self._sources.get(imagery_id):
            return found

        def make() -> ImagerySource:
            return self._sources.setdefault(imagery_id, self._sources.get(imagery_id) or self._open(imagery_id))

        return self._flight.do(imagery_id, make)

    def forget(self, imagery_id: int) -> None:
        """Open the imagery anew at the next ask: after it was imported again, moved or removed."""
        self._sources.pop(imagery_id, None)

    def tile(self, imagery_id: int, tile: Tile, size: int = 512, format: Format = "webp") -> bytes:
        """The image file of a tile, blank where it has no pixels. Raises ImageryError, InputError."""
        return self.image(imagery_id, tile, size, format).content

    def image(self, imagery_id: int, tile: Tile, size: int = 512, format: Format = "webp") -> TileImage:
        """The image of a tile with its share of pixels, from the cache or rendered now.

        Raises ImageryError when the source fails, InputError.
        """
        check_size(size)
        source = self.source(imagery_id)
        key = f"{RENDERING}/{imagery_id}/{source.fingerprint}/{tile}/{size}.{format}"
        kept = self._memory.get(key) or self._flight.do(key, lambda: self._made(key, source, tile, size, format))
        return TileImage.from_bytes(kept)

    def _made(self, key: str, source: ImagerySource, tile: Tile, size: int, format: Format) -> bytes:
        # Asked again inside the flight: the one before may have landed between the first look and now.
        if found := self._memory.get(key):
            return found
        kept = self._disk.get(key)
        if kept is None:
            started = time.perf_counter()
            pixels = render(source, tile, size)
            content = encode(pixels.rgba, format) if pixels.share else blank_tile(size, format)
            kept = TileImage(content, pixels.coverage).to_bytes()
            slow = time.perf_counter() - started > SLOW_SECONDS or source.info.kind in REMOTE_KINDS
            if slow and pixels.share:  # an empty answer of a server may be a passing one: not for days
                self._disk.put(key, kept)
        self._memory.put(key, kept)
        return kept
