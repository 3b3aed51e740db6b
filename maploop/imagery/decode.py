"""Images from outside (tiles of a folder, answers of a server) to pixels, with nothing taken on trust."""

import io
import struct

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from maploop.errors import ImageryError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", *(("AVIF",) if features.check("avif") else ()))
MAX_SIDE = 4096  # pixels; a tile larger than this is a mistake or an attack
MAX_BYTES = 32_000_000


def decode(data: bytes, name: str) -> Image.Image:
    """A square PNG, JPEG, WebP, GIF or AVIF image as RGBA, known by its bytes. Raises ImageryError that names it."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width != height or width > MAX_SIDE:
                msg = f"{name!r} is {width} x {height} pixels: a tile is square and at most {MAX_SIDE} pixels wide."
                raise ImageryError(msg)
            if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip instead of scaling
                image.load()
                return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGBA")
            return image.convert("RGBA")
    except ImageryError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        known = isinstance(error, UnidentifiedImageError)
        why = "" if known else f" ({str(error)[:120]})"
        msg = f"{name!r} is not a readable PNG, JPEG, WebP or GIF image{why}: replace it."
        raise ImageryError(msg, reason="not_an_image") from error
