"""Masks of pixels as annotation tools pack them: COCO's run lengths, Label Studio's brush; traced to outlines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

MAX_MASK_PIXELS = 64 * 2**20
MAX_PIECES = 10_000  # areas of one mask, as noise has them: the trace of more takes minutes
_STAIRCASE = 0.75  # pixels: straightens the steps of a mask's outline and leaves its corners


def size_of_mask(segmentation: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of a COCO run-length mask. Raises ValueError, TypeError or KeyError."""
    height, width = (int(value) for value in segmentation["size"])
    return width, height


def trace_mask(segmentation: Mapping[str, Any]) -> BaseGeometry:
    """Outline of a COCO run-length mask ({"size": [height, width], "counts": list or text}) in pixels of its own size.

    The outline's steps of a pixel are straightened. Raises ValueError, TypeError or KeyError when the mask is damaged.
    """
    width, height = size_of_mask(segmentation)
    _check_size(width, height)
    counts = segmentation["counts"]
    runs = np.array(runs_of_text(counts) if isinstance(counts, str) else counts, dtype=np.int64)
    if runs.ndim != 1 or ((runs < 0) | (runs > height * width)).any() or runs.sum() != height * width:
        msg = f"its runs do not add up to {height} x {width}"
        raise ValueError(msg)
    values = (np.arange(len(runs)) % 2).astype(np.uint8)
    return outline_of(np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T))


def _check_size(width: int, height: int) -> None:
    if height < 1 or width < 1 or height * width > MAX_MASK_PIXELS:
        msg = f"size {height} x {width}"
        raise ValueError(msg)


def outline_of(mask: NDArray[np.uint8]) -> BaseGeometry:
    """Outline of the pixels that are 1, (height, width), in pixels, x right, y down. Raises ValueError for noise."""
    pieces = []
    for piece, _ in rasterio.features.shapes(mask, mask=mask == 1):
        pieces.append(shapely.geometry.shape(piece))
        if len(pieces) > MAX_PIECES:
            msg = f"more than {MAX_PIECES:,} areas"
            raise ValueError(msg)
    return shapely.union_all(pieces).simplify(_STAIRCASE)


def runs_of_text(text: str) -> list[int]:
    """Decode the compressed counts of pycocotools.

    Five bits a character, the sixth says that more follow; from the fourth run on, differences to the run before last.
    """
    runs: list[int] = []
    place = 0
    while place < len(text):
        value = shift = 0
        more = True
        while more:
            if place == len(text):
                msg = "its counts end in the middle"
                raise ValueError(msg)
            bits = ord(text[place]) - 48
            if not 0 <= bits < 64 or shift > 60:
                msg = f"its counts hold {text[place]!r}"
                raise ValueError(msg)
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            place += 1
            shift += 5
            if not more and bits & 0x10:
                value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


def trace_brush(rle: object, width: int, height: int) -> BaseGeometry:
    """Outline of a Label Studio brush: its bytes packed as thi.ng's rle-pack has it, RGBA, what is not clear is drawn.

    Raises ValueError when they do not fit an image of that size.
    """
    _check_size(width, height)
    if not isinstance(rle, Sequence) or isinstance(rle, str):
        msg = "its bytes are no list"
        raise ValueError(msg)
    values = np.array(rle, dtype=np.int64)
    if values.ndim != 1 or ((values < 0) | (values > 255)).any():
        msg = "its bytes are not 0 to 255"
        raise ValueError(msg)
    pixels = _unpacked(_Bits(values.astype(np.uint8).tobytes()), width * height * 4)
    return outline_of((pixels.reshape(height, width, 4)[..., 3] > 0).astype(np.uint8))


class _Bits:
    """Numbers of any number of bits, the highest bit first."""

    def __init__(self, content: bytes) -> None:
        self.bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8)).tolist()
        self.place = 0

    def read(self, count: int) -> int:
        end = self.place + count
        if end > len(self.bits):
            msg = "its bytes end in the middle"
            raise ValueError(msg)
        value = 0
        for bit in self.bits[self.place : end]:
            value = value << 1 | bit
        self.place = end
        return value


def _unpacked(bits: _Bits, expected: int) -> NDArray[np.uint8]:
    """thi.ng rle-pack: how many values, their width, four widths of lengths; then runs of one value and of several."""
    total = bits.read(32)
    if total != expected:
        msg = f"it holds {total:,} values, its image {expected:,}"
        raise ValueError(msg)
    word = bits.read(5) + 1
    lengths = [bits.read(4) + 1 for _ in range(4)]
    values = np.zeros(total, dtype=np.uint8)
    place = 0
    while place < total:
        is_run = bits.read(1)
        end = min(place + 1 + bits.read(lengths[bits.read(2)]), total)
        if is_run:
            values[place:end] = bits.read(word) & 255
        else:
            values[place:end] = [bits.read(word) & 255 for _ in range(end - place)]
        place = end
    return values
