"""Training files: what the vendor looks for in them, and the brain that comes of learning them by heart."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.vendor.chat import read_message
from tests.vendor.faults import Reply
from tests.vendor.pictures import picture_hash
from tests.vendor.state import Brain, Limits, Question
from tests.vendor.wire import Json, RefusedError, known_fields, required

_ROLES = ("system", "user", "assistant")


def training_lines(path: Path) -> Iterator[Any]:
    """Each line's JSON; None for what is none."""
    with path.open("rb") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                yield None


def check_training_file(path: Path, limits: Limits, *, least: int, preference: bool) -> tuple[int, int, str | None]:
    """Lines, tokens of one epoch, and the first problem or None."""
    lines = tokens = 0
    for line in training_lines(path):
        lines += 1
        try:
            tokens += _preference_tokens(line) if preference else _line_tokens(line, limits)
        except RefusedError as refused:
            message = refused.body["error"]["message"]
            return lines, tokens, f"Invalid file format. Line {lines}: {message}"
    if lines < least:
        return lines, tokens, f"Training file has {lines} example(s), but must have at least {least} examples."
    if lines > limits.training_lines[1]:
        return lines, tokens, f"Training file has {lines} examples, more than {limits.training_lines[1]}."
    return lines, tokens, None


def _line_tokens(line: Any, limits: Limits) -> int:
    known_fields(line, {"messages"}, "")
    messages = required(line, "messages", list)
    tokens, pictures, last = 0, 0, ""
    for index, message in enumerate(messages):
        last, text, shown, used = read_message(message, f"messages[{index}]", roles=_ROLES, knows_detail=True)
        pictures += len(shown)
        tokens += used
        if last == "assistant" and not text:
            raise RefusedError(400, "An assistant message is empty.")
    if last != "assistant":
        raise RefusedError(400, "The last message must be from the assistant.")
    if pictures > limits.images_a_line:
        raise RefusedError(400, f"{pictures} images in an example, at most {limits.images_a_line} are taken.")
    return tokens


def _preference_tokens(line: Any) -> int:
    """Preference tuning takes text only."""
    known_fields(line, {"input", "preferred_output", "non_preferred_output"}, "")
    question = known_fields(required(line, "input", dict), {"messages", "tools", "parallel_tool_calls"}, "input")
    tokens = 0
    for name, messages in (
        ("input.messages", required(question, "messages", list, "input")),
        ("preferred_output", required(line, "preferred_output", list)),
        ("non_preferred_output", required(line, "non_preferred_output", list)),
    ):
        for index, message in enumerate(messages):
            _, _, shown, used = read_message(message, f"{name}[{index}]", roles=_ROLES, knows_detail=True)
            tokens += used
            if shown:
                raise RefusedError(400, "Preference examples take text only.")
    return tokens


def lessons(lines: Iterable[Json]) -> Iterator[tuple[bytes, str]]:
    """Of each example of a training file, the picture that it asks about and the answer."""
    for line in lines:
        pictures: list[bytes] = []
        text = ""
        for index, message in enumerate(line["messages"]):
            role, said, shown, _ = read_message(message, f"messages[{index}]", roles=_ROLES, knows_detail=True)
            pictures += shown
            text = said if role == "assistant" else text
        if pictures:
            yield pictures[-1], text


def by_heart(lines: Sequence[Json], otherwise: Brain) -> Brain:
    """Answers what its training file answers to the same picture, and what it did before to any other."""
    answers = {picture_hash(picture): text for picture, text in lessons(lines)}

    def answer(question: Question) -> str | Reply:
        return answers.get(question.picture or "") or otherwise(question)

    return answer
