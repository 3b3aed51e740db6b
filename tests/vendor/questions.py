"""Pictures and bodies to ask with."""

import base64
import io
from typing import Any

import numpy as np
import orjson
from PIL import Image

ANSWER = '{"features":[{"class":"building","geometry":"polygon","points":[[1,1],[9,1],[9,9],[1,9]],"holes":[]}]}'


def a_picture(seed: int, *, mode: str = "RGB", size: int = 64) -> bytes:
    """A PNG of noise: another seed, another picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, len(mode)), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode).save(buffer, "PNG")
    return buffer.getvalue()


def data_url(picture: bytes, kind: str = "png") -> str:
    """A picture as it travels."""
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def a_body(picture: bytes | None = None, *, url: str | None = None, model: str = "gpt-4o") -> dict[str, Any]:
    """The body of a chat request about a picture."""
    image = {"url": url or data_url(picture or a_picture(0)), "detail": "high"}
    content = [{"type": "text", "text": "What is there?"}, {"type": "image_url", "image_url": image}]
    return {"model": model, "messages": [{"role": "user", "content": content}]}


def a_schema(inner: dict[str, Any]) -> dict[str, Any]:
    """A response format with one property."""
    schema = {"type": "object", "properties": {"it": inner}, "required": ["it"], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def a_training_line(picture: bytes, answer: str = ANSWER) -> dict[str, Any]:
    """An example of vision tuning."""
    return {"messages": [*a_body(picture)["messages"], {"role": "assistant", "content": answer}]}


def jsonl(rows: list[Any]) -> bytes:
    """Lines of JSON."""
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)
