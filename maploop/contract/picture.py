"""The pixels of a tile exactly as a model sees them, when it is asked and in every training example."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maploop.imagery.info import ImagerySource
from maploop.imagery.render import encode, render_some
from maploop.imagery.tilemath import Tile

if TYPE_CHECKING:
    from maploop.contract.prompt import Contract


def picture_of(source: ImagerySource, tile: Tile, contract: "Contract") -> bytes:
    """The image file of a tile under a contract: RGB, black where the source has no data, equal pixels as equal bytes.

    Raises NoPixelsError where the source has nothing on the whole tile: a black picture says nothing about the ground.
    Raises ImageryError when it fails.
    """
    return picture_from(render_some(source, tile, contract.image_size).rgba, contract)


def picture_from(rgba: NDArray[np.uint8], contract: "Contract") -> bytes:
    """The image file of RGBA pixels under a contract, black where they are transparent."""
    opacity = rgba[..., 3:].astype(np.uint16)
    flat = np.full_like(rgba, 255)
    flat[..., :3] = (rgba[..., :3] * opacity + 127) // 255
    return encode(flat, contract.image_format)
