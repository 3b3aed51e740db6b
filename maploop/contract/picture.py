"""The pixels of a tile exactly as a model sees them, when it is asked and in every training example."""

from typing import TYPE_CHECKING

import numpy as np

from maploop.imagery.info import ImagerySource
from maploop.imagery.render import encode
from maploop.imagery.tilemath import Tile

if TYPE_CHECKING:
    from maploop.contract.prompt import Contract


def picture_of(source: ImagerySource, tile: Tile, contract: "Contract") -> bytes:
    """The image file of a tile under a contract: RGB, black where the source has no data, equal pixels as equal bytes.

    Raises ImageryError.
    """
    rgba = source.read(tile, contract.image_size)
    opacity = rgba[..., 3:].astype(np.uint16)
    flat = np.full_like(rgba, 255)
    flat[..., :3] = (rgba[..., :3] * opacity + 127) // 255
    return encode(flat, contract.image_format)
