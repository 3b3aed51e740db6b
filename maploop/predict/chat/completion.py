"""The body of a reply -> the outcome of a tile: features or why there are none, and what was used either way."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from maploop.contract import Contract, UnfitFeatureError, extract_answer, read_answer
from maploop.errors import AnswerError
from maploop.imagery.tilemath import Tile
from maploop.predict.chat.said import clean
from maploop.predict.predictor import Failure, FoundFeature, Outcome, Usage
from maploop.prices import Price

_THINKING: Final = re.compile(r"^\s*<think(ing)?>.*?</think(ing)?>", re.DOTALL)


def read_completion(body: object, tile: Tile, contract: Contract, price: Price | None) -> Outcome:
    """What a chat completion says about a tile, whatever the server sent; `price` None: unknown, as the cost then is.

    Features that do not fit the contract are left out and counted in `dropped`; an answer of which nothing fits has
    failed. Never raises.
    """
    usage = read_usage(body, price)
    text = _answer(body)
    if isinstance(text, Failure):
        return Outcome(tile, failure=text, usage=usage)
    try:
        features, unfit = read_answer(extract_answer(_THINKING.sub("", text)), tile, contract)
    except AnswerError as error:
        return Outcome(tile, failure=Failure("malformed", str(error)), usage=usage)
    dropped = Counter(each.reason for each in unfit)
    if unfit and not features:
        return Outcome(tile, failure=_nothing_fits(unfit), usage=usage, dropped=dropped)
    found = tuple(FoundFeature(each.class_name, each.geometry) for each in features)
    repaired = sum(each.repaired for each in features)
    return Outcome(tile, found, usage=usage, dropped=dropped, repaired=repaired)


def read_usage(body: object, price: Price | None) -> Usage:
    """Tokens by kind as the server reported them, and their cost, None when the price or the number is unknown.

    A reply without an answer, which reports nothing, took nothing.
    """
    reported = _get(body, "usage")
    if not isinstance(reported, Mapping):
        return Usage(cost=None if _get(body, "choices") else 0.0)
    details = reported.get("prompt_tokens_details")
    asked, answered = _count(reported, "prompt_tokens"), _count(reported, "completion_tokens")
    cached = min(asked, _count(details, "cached_tokens"))
    written = min(asked - cached, _count(details, "cache_write_tokens"))
    counts = (asked - cached - written, cached, written, answered)
    return Usage(*counts, cost=None if price is None else price.cost(*counts))


def _answer(body: object) -> str | Failure:
    """The text of the first choice, or why it is none."""
    choices = _get(body, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = _get(choice, "message")
    if not isinstance(message, Mapping):
        said = _get(_get(body, "error"), "message")
        told = f": {clean(said)}" if isinstance(said, str) else ""
        return Failure("malformed", f"The reply of the server holds no answer{told}.")
    if refusal := message.get("refusal"):
        return Failure("refused", f"The model refuses: {clean(str(refusal))}")
    match _get(choice, "finish_reason"):
        case "length":
            return Failure("truncated", "The answer is longer than the model may write: raise max_tokens.")
        case "content_filter":
            return Failure("refused", "The server's content filter stopped the answer.")
    text = _text(message.get("content"))
    return text if text.strip() else Failure("malformed", "The answer is empty: not even an empty list of features.")


def _text(content: object) -> str:
    """The content of a message, which some servers send in parts."""
    if isinstance(content, list):
        return "".join(text for part in content if isinstance(text := _get(part, "text"), str))
    return content if isinstance(content, str) else ""


def _nothing_fits(unfit: list[UnfitFeatureError]) -> Failure:
    return Failure("malformed", f"None of the {len(unfit):,} features fits: {unfit[0]}")


def _get(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _count(values: object, name: str) -> int:
    """A reported number of tokens; what is missing or no number counts as none."""
    value = _get(values, name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
