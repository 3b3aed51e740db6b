"""Answers of tile servers: an image by its bytes, or an error that says what came instead."""

import re

import orjson
from PIL import Image

from maploop.errors import ImageryError
from maploop.imagery.decode import decode
from maploop.imagery.fetch import Answer, public_name
from maploop.imagery.wms_capabilities import exception_text

MAX_WORDS = 160  # characters of a server's own words that are passed on
_BLANKS = b"\xef\xbb\xbf \r\n\t"
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def image_of(answer: Answer, url: str) -> Image.Image:
    """Decode the image in an answer as RGBA, by its bytes. Raises ImageryError saying what came instead."""
    refuse_exception(answer, url)
    start = answer.body.lstrip(_BLANKS)[:1]
    words = ""
    if start == b"{":
        words = _json_words(answer.body)
    elif start == b"<":
        words = _page_title(answer.body)
    if start in (b"{", b"<") and not answer.content_type.startswith("image/"):
        came = repr(answer.content_type or "text") + (f" ({words})" if words else "")
        msg = f"{public_name(url)!r} sent {came} instead of an image: check the URL and the access key."
        raise ImageryError(msg, reason="not_an_image", status=answer.status)
    try:
        return decode(answer.body, public_name(url))
    except ImageryError as error:
        if answer.content_type.startswith("image/") or answer.content_type in {"", "application/octet-stream"}:
            raise
        msg = (
            f"{public_name(url)!r} sent {answer.content_type!r} instead of an image: check the URL and the access key."
        )
        raise ImageryError(msg, reason="not_an_image", status=answer.status) from error


def refuse_exception(answer: Answer, url: str) -> None:
    """Raise ImageryError with the server's words when a 200 holds a service exception in XML, whatever its type."""
    head = answer.body[:2000]
    if not head.lstrip(_BLANKS).startswith(b"<") or b"Exception" not in head:
        return
    if b"<html" in head.lower():
        return
    if words := exception_text(answer.body):
        msg = f"{public_name(url)!r} refused the request: {words}"
        raise ImageryError(msg, reason="not_an_image", status=answer.status)


def _json_words(body: bytes) -> str:
    """The message of a JSON error, '' when there is none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    inside = document.get("error", document) if isinstance(document, dict) else {}
    words = inside if isinstance(inside, str) else ""
    if isinstance(inside, dict):
        words = next((str(inside[key]) for key in ("message", "detail", "error", "title") if inside.get(key)), "")
    return " ".join(words.split())[:MAX_WORDS]


def _page_title(body: bytes) -> str:
    """The title of a web page, '' when there is none."""
    found = _TITLE.search(body[:20_000])
    return " ".join(found.group(1).decode("utf-8", "replace").split())[:MAX_WORDS] if found else ""
