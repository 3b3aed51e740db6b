"""Checks a chat JSONL file of training examples as strictly as the vendor would, before it is uploaded."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

MIN_LINES, MAX_LINES = 10, 50_000
MAX_FILE_BYTES = 512_000_000
MAX_IMAGES_A_LINE = 10
MAX_IMAGE_BYTES = 10_000_000
MAX_PROBLEMS = 20
_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}
_ROLES = ("system", "user", "assistant")


@dataclass
class CheckReport:
    """What was found: a file with `problems` is refused, one with `warnings` may do less than hoped."""

    lines: int = 0
    images: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_openai_jsonl(path: Path) -> CheckReport:
    """Check size, number of lines, and each line's messages and pictures; at most the first 20 problems are named."""
    report = CheckReport()
    with path.open("rb") as file:
        for line in file:
            report.lines += 1
            for problem in _problems_of_line(line, report):
                if len(report.problems) < MAX_PROBLEMS:
                    report.problems.append(f"line {report.lines}: {problem}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        report.problems.append(
            f"{size / 1e6:,.0f} MB are more than the {MAX_FILE_BYTES / 1e6:,.0f} MB that OpenAI takes."
        )
    if report.lines > MAX_LINES:
        report.problems.append(f"{report.lines:,} lines are more than the {MAX_LINES:,} that OpenAI takes.")
    if report.lines < MIN_LINES:
        report.warnings.append(f"{report.lines} examples are few: OpenAI trains on {MIN_LINES} or more.")
    return report


def _problems_of_line(line: bytes, report: CheckReport) -> Iterator[str]:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        yield f"it is not JSON ({error})."
        return
    messages = document.get("messages") if isinstance(document, dict) else None
    if not isinstance(messages, list) or not messages or set(document) != {"messages"}:
        yield "it must be an object with a list of messages and nothing else."
        return
    images = 0
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            yield f"each message needs a role, one of {', '.join(_ROLES)}."
            return
        for part in _parts(message):
            if part.get("type") == "image_url":
                images += 1
                if message["role"] != "user":
                    yield f"a picture in a message of the {message['role']}: only the user may show one."
                yield from _problems_of_image(part)
            elif part.get("type") != "text" or not isinstance(part.get("text"), str):
                yield "a part of a message is neither text nor image_url."
    report.images += images
    if images > MAX_IMAGES_A_LINE:
        yield f"{images} pictures are more than {MAX_IMAGES_A_LINE}."
    if messages[-1]["role"] != "assistant" or not any(part.get("text") for part in _parts(messages[-1])):
        yield "the last message must be the assistant's answer."


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, list):
        return [part if isinstance(part, dict) else {} for part in content]
    return [{"type": "text", "text": content}]


def _problems_of_image(part: dict[str, Any]) -> Iterator[str]:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else None
    header, _, payload = url.partition(",") if isinstance(url, str) else ("", "", "")
    kind = header.removeprefix("data:image/").removesuffix(";base64")
    if header != f"data:image/{kind};base64" or kind not in _MAGIC:
        yield "a picture must be a base64 data URL of a PNG or JPEG."
        return
    try:
        content = base64.b64decode(payload, validate=True)
    except binascii.Error:
        yield "a picture's base64 is damaged."
        return
    if not content.startswith(_MAGIC[kind]):
        yield f"a picture is not the {kind.upper()} it says it is."
    if len(content) > MAX_IMAGE_BYTES:
        yield f"a picture of {len(content) / 1e6:.0f} MB is larger than {MAX_IMAGE_BYTES / 1e6:.0f} MB."
