"""Pictures as the vendor takes them: base64 data URLs of PNG or JPEG in RGB, not too large."""

import base64
import binascii
import hashlib
import io
import math

from PIL import Image

from tests.vendor.wire import RefusedError

MAX_IMAGE_BYTES = 10_000_000


def picture_in(url: object, path: str) -> bytes:
    """The bytes of a data URL. Raises RefusedError for anything that the vendor would not look at."""
    header, _, payload = url.partition(",") if isinstance(url, str) else ("", "", "")
    if header not in ("data:image/png;base64", "data:image/jpeg;base64"):
        message = f"Invalid '{path}': expected a base64-encoded data URL with an image MIME type (png, jpeg)."
        raise RefusedError(400, message, code="invalid_image_url", param=path)
    try:
        content = base64.b64decode(payload, validate=True)
        with Image.open(io.BytesIO(content)) as image:
            found, mode = image.format, image.mode
            image.load()
    except (binascii.Error, OSError, SyntaxError) as error:
        raise RefusedError(400, f"Invalid '{path}': it is no image.", code="invalid_image", param=path) from error
    if found != header.removeprefix("data:image/").removesuffix(";base64").upper():
        raise RefusedError(
            400, f"Invalid '{path}': a {found} is not what it says.", code="invalid_image_format", param=path
        )
    if mode != "RGB":
        raise RefusedError(
            400, f"Invalid '{path}': mode {mode}, expected RGB.", code="invalid_image_format", param=path
        )
    if len(content) > MAX_IMAGE_BYTES:
        raise RefusedError(400, f"Invalid '{path}': more than 10 MB.", code="image_too_large", param=path)
    return content


def picture_hash(content: bytes) -> str:
    """How a picture is known to brains and faults."""
    return hashlib.sha256(content).hexdigest()


def picture_tokens(content: bytes, detail: str) -> int:
    """Tokens of a picture by the rule for gpt-4o: 85, and 170 for each 512 pixel tile unless detail is low."""
    if detail == "low":
        return 85
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
    scale = min(1.0, 2048 / max(width, height))
    scale = min(scale, 768 / min(width * scale, height * scale)) if min(width, height) * scale > 768 else scale
    return 85 + 170 * math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
