"""Split blocks: the squares of tiles that were assigned to a side of the split as one, and that intervals count."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView


def blocks_of(_connection: Connection, project: ProjectView, tiles: Sequence[Tile]) -> NDArray[np.int64]:
    """A number for the split block of each tile: equal for tiles of one block."""
    offset = project.settings.block_zoom_offset
    keys = np.array([(tile.x >> offset) << 32 | tile.y >> offset for tile in tiles], dtype=np.int64)
    return np.asarray(np.unique(keys, return_inverse=True)[1], dtype=np.int64)
