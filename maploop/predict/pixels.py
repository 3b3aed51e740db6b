"""What a pixel looks like and what surrounds it: the features the local model reads.

Everything is computed on cells of 2 x 2 pixels, which is fine enough for outlines and four times less work. A cell's
features depend on pixels no farther than `REACH` away, so an area may be cut into blocks with that margin, unseen.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CELL: Final = 2  # pixels a side of one cell
REACH: Final = 144  # pixels: the widest blur and the farthest look, rounded up
_TRUNCATE: Final = 3.0
_LOOKS: Final = ((5, 8), (12, 8))  # distance in cells, directions: what lies around, such as a shadow to one side

Cells = NDArray[np.float32]


def _blur(plane: Cells, sigma: float) -> Cells:
    return np.asarray(ndimage.gaussian_filter(plane, sigma, truncate=_TRUNCATE, mode="reflect"), dtype=np.float32)


def _seen_from(plane: Cells, right: int, down: int) -> Cells:
    """The plane as seen by looking some cells away, edge cells repeated."""
    height, width = plane.shape
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    return plane[rows][:, columns]


def pixel_features(image: NDArray[np.uint8]) -> Cells:
    """Features of every cell: uint8 (h, w, 3) -> float32 (ceil(h / 2), ceil(w / 2), n).

    Brightness and two colour opponents, each blurred at five scales; gradients; local contrast; the two curvatures of a
    Hessian, which tell a stripe from a blob; and brightness and colour some cells away in eight directions.
    """
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, height % CELL), (0, width % CELL), (0, 0)), mode="edge").astype(np.float32) / 255
    quarters = [padded[row::CELL, column::CELL] for row in range(CELL) for column in range(CELL)]
    cells = (quarters[0] + quarters[1] + quarters[2] + quarters[3]) / 4
    red, green, blue = cells[..., 0], cells[..., 1], cells[..., 2]
    light = np.asarray((red + green + blue) / 3, dtype=np.float32)
    warm = np.asarray(red - blue, dtype=np.float32)
    lush = np.asarray(green - (red + blue) / 2, dtype=np.float32)
    grey = [quarter.mean(axis=2) for quarter in quarters]
    planes: list[Cells] = [light, warm, lush, np.asarray(np.std(grey, axis=0), dtype=np.float32)]
    blurred: dict[tuple[int, float], Cells] = {}
    for index, plane in enumerate((light, warm, lush)):
        for sigma in (1.0, 2.0, 4.0, 8.0, 16.0):
            blurred[index, sigma] = _blur(plane, sigma)
            planes.append(blurred[index, sigma])
    for sigma in (1.0, 2.0, 4.0):
        down, right = np.gradient(blurred[0, sigma])
        planes.append(np.hypot(down, right))
        (across, slant), (_, upright) = np.gradient(right)[::-1], np.gradient(down)[::-1]
        mean, spread = (across + upright) / 2, np.hypot((across - upright) / 2, slant)
        planes += [(mean + spread) * sigma**2, (mean - spread) * sigma**2]
    for sigma in (2.0, 6.0):
        mean = _blur(light, sigma)
        planes.append(np.sqrt(np.maximum(_blur(light * light, sigma) - mean * mean, 0)))
    edges = np.hypot(*np.gradient(light))
    planes += [_blur(edges, 3.0), _blur(edges, 10.0)]
    for distance, directions in _LOOKS:
        for angle in np.arange(directions) * 2 * np.pi / directions:
            right_by, down_by = round(distance * np.cos(angle)), round(distance * np.sin(angle))
            planes += [_seen_from(blurred[index, 2.0], right_by, down_by) for index in (0, 1)]
    return np.stack(planes, axis=2).astype(np.float32, copy=False)
