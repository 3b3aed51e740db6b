"""A picture cut into windows of one size that lie over one another, so that the surroundings are seen too."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maploop.predict.hub.parameters import HubParameters
from maploop.predict.pixels import CELL
from maploop.predict.whole_area import ReadWindow


@dataclass(frozen=True, slots=True)
class Window:
    """Pixels of a picture: left, top, and the side of the square; `core` (left, top, right, bottom) is its own part.

    The cores of all windows fill the picture, none lies over another. A window that does not fit is black beyond.
    """

    left: int
    top: int
    side: int
    core: tuple[int, int, int, int]


def windows(width: int, height: int, parameters: HubParameters) -> list[Window]:
    """The windows of a picture, row by row."""
    columns, rows = _cuts(width, parameters), _cuts(height, parameters)
    return [Window(left, top, parameters.side, (x0, y0, x1, y1)) for top, y0, y1 in rows for left, x0, x1 in columns]


def _cuts(length: int, parameters: HubParameters) -> list[tuple[int, int, int]]:
    """(where a window begins, where its core begins, where that ends) along one axis; begins are whole cells."""
    side, margin = parameters.side, parameters.margin
    if length <= side:
        return [(0, 0, length)]
    last = -(-(length - side) // CELL) * CELL
    begins = [*range(0, last, parameters.step), last]
    ends = [*(begin + side - margin for begin in begins[:-1]), length]
    return list(zip(begins, [0, *ends[:-1]], ends, strict=True))


def batches(
    read: ReadWindow,
    width: int,
    height: int,
    parameters: HubParameters,
    progress: Callable[[float], None] | None = None,
) -> Iterator[tuple[list[Window], list[NDArray[np.uint8]]]]:
    """Windows with their pixels as the network is shown them, some at a time; tells how far it is after each."""
    everything = windows(width, height, parameters)
    waiting, done = iter(everything), 0
    while some := list(islice(waiting, parameters.batch)):
        yield some, [_shown(read, width, height, each, parameters.window) for each in some]
        done += len(some)
        if progress:
            progress(done / len(everything))


def _shown(read: ReadWindow, width: int, height: int, window: Window, size: int) -> NDArray[np.uint8]:
    wide, high = min(window.side, width - window.left), min(window.side, height - window.top)
    pixels = read(window.left, window.top, wide, high)
    if (wide, high) != (window.side, window.side):
        pixels = np.pad(pixels, ((0, window.side - high), (0, window.side - wide), (0, 0)))
    if size == window.side:
        return np.ascontiguousarray(pixels)
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))
