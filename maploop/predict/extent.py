"""The ground that features cover of themselves, in tiles: where they lie, and small gaps between them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LARGEST_HOLE = 4  # tiles: a field or a pond; more may be ground that nobody looked at
MAX_CELLS = 50_000_000
Places = NDArray[np.int64]  # x and y of tiles of one zoom, shape (n, 2)


def small_holes(places: Places) -> Places:
    """Tiles without features that those with features enclose, in gaps of at most `LARGEST_HOLE`.

    Sideways neighbours join tiles of a gap to one another, diagonal ones too. Extents of more than `MAX_CELLS` tiles
    are not looked at.
    """
    if not len(places):
        return places
    corner = places.min(axis=0)
    width, height = (places.max(axis=0) - corner + 1).tolist()
    if width * height > MAX_CELLS:
        return places[:0]
    mask = np.zeros((width, height), dtype=np.bool_)
    mask[tuple((places - corner).T)] = True
    gaps, _ = ndimage.label(~mask, structure=np.ones((3, 3), dtype=np.int8))
    sizes = np.bincount(gaps.ravel())
    outside = np.unique(np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]]))
    small = sizes <= LARGEST_HOLE
    small[outside] = False
    small[0] = False
    return np.asarray(np.argwhere(small[gaps]) + corner, dtype=np.int64)
