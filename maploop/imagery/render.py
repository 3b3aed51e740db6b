"""Pixels to image files: what the browser shows and what training examples hold."""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maploop.errors import ImageryReason, InputError, NoPixelsError
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.pixels import PixelCoverage, coverage_of
from maploop.imagery.tilemath import Tile

Format = Literal["png", "jpeg", "webp"]
MEDIA_TYPES: dict[Format, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
MAX_SIZE = 2048

# Fixed for ever: the same pixels must give the same bytes, in the cache and in every dataset. WebP's method 0 costs a
# third of the default's time for a fifth more bytes; PNG's level 3 a third of the time for a twentieth more.
_OPTIONS: dict[Format, dict[str, Any]] = {
    "png": {"compress_level": 3},
    "jpeg": {"quality": 92, "subsampling": 0},
    "webp": {"quality": 82, "method": 0},
}


def encode(rgba: NDArray[np.uint8], format: Format) -> bytes:
    """An image file of (height, width, 4) RGBA pixels. JPEG has no alpha: what is transparent becomes black."""
    if format not in _OPTIONS:
        msg = f"{format!r} is not an image format for tiles: use png, jpeg or webp."
        raise InputError(msg)
    if bool((rgba[..., 3] == 255).all()):
        image = Image.fromarray(np.ascontiguousarray(rgba[..., :3]))
    elif format == "jpeg":
        shown = rgba[..., :3].astype(np.uint16) * rgba[..., 3:] / 255.0
        image = Image.fromarray(np.rint(shown).astype(np.uint8))
    else:
        image = Image.fromarray(rgba)
    buffer = io.BytesIO()
    image.save(buffer, format=format, **_OPTIONS[format])
    return buffer.getvalue()


def over_black(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB as a model sees it: black where there is no data."""
    if (rgba[..., 3] == 255).all():
        return rgba[..., :3]
    return ((rgba[..., :3] * rgba[..., 3:].astype(np.uint16) + 127) // 255).astype(np.uint8)


@dataclass(frozen=True)
class TilePixels:
    """Pixels of a tile, (size, size, 4) RGBA, and where it has any."""

    rgba: NDArray[np.uint8]
    coverage: PixelCoverage

    @property
    def share(self) -> float:
        """The share of the tile that has pixels, 0 to 1."""
        return self.coverage.share


def render(source: ImagerySource, tile: Tile, size: int) -> TilePixels:
    """Read a tile and measure how much of it has pixels. Raises ImageryError when the source fails."""
    rgba = source.read(tile, size)
    return TilePixels(rgba, coverage_of(rgba))


def render_some(source: ImagerySource, tile: Tile, size: int) -> TilePixels:
    """Read a tile that must have pixels somewhere. Raises NoPixelsError where it has none, ImageryError."""
    pixels = render(source, tile, size)
    if not pixels.share:
        raise no_pixels(source.info, tile)
    return pixels


def no_pixels(info: SourceInfo, tile: Tile) -> NoPixelsError:
    """The error for a tile that a source answers without pixels."""
    reason: ImageryReason = "beyond_zoom" if tile.z > info.max_zoom else "hole"
    if reason == "beyond_zoom":
        msg = f"The imagery ends at zoom {info.max_zoom} and has no pixels for {tile}: use other imagery there."
    else:
        msg = f"The imagery has no pixels for {tile}, a hole in it: use other imagery there."
    return NoPixelsError(msg, reason=reason)


def tile_image(source: ImagerySource, tile: Tile, size: int, format: Format) -> bytes:
    """A tile of a source as an image file, `size` pixels wide. Raises ImageryError, InputError."""
    check_size(size)
    rgba = source.read(tile, size)
    return encode(rgba, format) if rgba[..., 3].any() else blank_tile(size, format)


@lru_cache(maxsize=16)
def blank_tile(size: int, format: Format) -> bytes:
    """The tile where there is no data: transparent, black in JPEG."""
    return encode(np.zeros((size, size, 4), dtype=np.uint8), format)


def check_size(size: int) -> None:
    """Raises InputError unless a tile can be drawn that wide."""
    if not 1 <= size <= MAX_SIZE:
        msg = f"A tile of {size} pixels cannot be drawn: use 1 to {MAX_SIZE}."
        raise InputError(msg)
