"""Lines of a server's result files -> what became of each tile."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from maploop.contract import Contract
from maploop.imagery.tilemath import Tile
from maploop.predict.batch.files import tile_of
from maploop.predict.chat.completion import read_completion
from maploop.predict.chat.said import clean
from maploop.predict.predictor import Failure, FailureKind, Outcome
from maploop.prices import Price

_TOO_LATE: Final = frozenset({"batch_expired", "batch_cancelled"})


@dataclass(frozen=True)
class Unanswered:
    """A tile that the batch did not answer, and was not charged for.

    again       whether another batch may do better
    complaint   all that the server said of a request that it does not take
    """

    tile: Tile
    failure: Failure
    again: bool
    complaint: str = ""


def read_result(
    line: bytes, run_id: int, contract: Contract, price: Price | None, seconds: float
) -> Outcome | Unanswered | None:
    """What a line says, None when it is about no tile of this run; `seconds` is what a request took. Never raises."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    tile = tile_of(_get(row, "custom_id"), run_id)
    if tile is None:
        return None
    response = _get(row, "response")
    body, status = _get(response, "body"), _get(response, "status_code")
    if status == 200:
        outcome = read_completion(body, tile, contract, price)
        return replace(outcome, usage=replace(outcome.usage, seconds=seconds))
    error = _get(body, "error") if isinstance(response, Mapping) else _get(row, "error")
    return _unanswered(tile, status if isinstance(status, int) else None, error)


def not_reached(tile: Tile) -> Unanswered:
    """The server ended the batch without a word on this tile."""
    return Unanswered(tile, _too_late(), again=True)


def _unanswered(tile: Tile, status: int | None, error: object) -> Unanswered:
    said, code = _get(error, "message"), str(_get(error, "code") or "")
    told = clean(said) if isinstance(said, str) and said.strip() else "it does not say why"
    if code in _TOO_LATE:
        return Unanswered(tile, _too_late(), again=True)
    if status == 429:
        return Unanswered(tile, Failure("rate_limit", f"The server holds the request back: {told}"), again=True)
    if "content_filter" in code or "content_policy" in code:
        return Unanswered(tile, Failure("refused", f"The server does not pass this picture on: {told}"), again=False)
    if status is None or status in (408, 409) or status >= 500:
        kind: FailureKind = "timeout" if status in (408, 504) else "server"
        shown = "" if status is None else f" ({status})"
        return Unanswered(tile, Failure(kind, f"The server failed{shown}: {told}"), again=True)
    complaint = f"{said} {_get(error, 'param') or ''}"
    failure = Failure("server", f"The server does not take the request ({status}): {told}")
    return Unanswered(tile, failure, again=False, complaint=complaint)


def _too_late() -> Failure:
    return Failure("timeout", "The batch ended before the server came to this tile.")


def _get(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
