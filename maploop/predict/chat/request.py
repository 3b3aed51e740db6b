"""A tile and its examples -> the body of a chat request, as far as the server understands it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from maploop.contract import Contract
from maploop.predict.chat.parameters import ChatParameters

_OF_OPENAI: Final = ("openai.com", "azure.com")  # know `max_completion_tokens`; elsewhere all know `max_tokens`
_UNKNOWN: Final = re.compile(
    r"unsupported|unrecogni[sz]ed|unknown|unexpected|not supported|does not support|doesn't support|not permitted"
    r"|not allowed|not available|not implemented|not recogni[sz]ed|invalid"
)
_SCHEMA: Final = re.compile(r"response_format|json_schema|structured output|guided|grammar")
_DETAIL: Final = re.compile(r"image_url\W.*\bdetail\b|['\"`.]detail\b")
_OTHER_LIMIT: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


@dataclass(frozen=True)
class Abilities:
    """What a server has not yet refused to understand.

    structured      `response_format` with a strict schema
    detail          how closely to look, beside a picture
    temperature, reasoning_effort   the parameters of these names
    limit_name      how the number of tokens of an answer is limited
    limit_swapped   the other name was tried before
    """

    structured: bool = True
    detail: bool = True
    temperature: bool = True
    reasoning_effort: bool = True
    limit_name: str = "max_completion_tokens"
    limit_swapped: bool = False


def abilities_of(parameters: ChatParameters) -> Abilities:
    """What to expect of a server before it was asked."""
    host = urlsplit(parameters.base_url).hostname or ""
    new = any(host == each or host.endswith(f".{each}") for each in _OF_OPENAI)
    return Abilities(
        structured=parameters.structured != "plain",
        limit_name="max_completion_tokens" if new else "max_tokens",
    )


def chat_request(
    contract: Contract,
    image: bytes,
    shots: Sequence[tuple[bytes, str]],
    model: str,
    parameters: ChatParameters,
    abilities: Abilities | None = None,
) -> dict[str, Any]:
    """The body of a request about one picture; `shots` are pictures with their answers, shown first.

    `model` is the vendor's id. Without `abilities`, the server is taken to understand what such servers do.
    """
    knows = abilities or abilities_of(parameters)
    body: dict[str, Any] = {"model": model, "messages": contract.messages(image, shots=shots)}
    if knows.structured:
        body["response_format"] = contract.response_format
    if parameters.max_tokens is not None:
        body[knows.limit_name] = parameters.max_tokens
    if parameters.temperature is not None and knows.temperature:
        body["temperature"] = parameters.temperature
    if parameters.reasoning_effort is not None and knows.reasoning_effort:
        body["reasoning_effort"] = parameters.reasoning_effort
    if not knows.detail:
        _leave_out_detail(body["messages"])
    return body


def _leave_out_detail(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        for part in message["content"] if isinstance(message["content"], list) else ():
            part.get("image_url", {}).pop("detail", None)


def without_what_is_refused(abilities: Abilities, parameters: ChatParameters, complaint: str) -> Abilities | None:
    """What is left of a server's abilities after it refused a request (400, 422), None when that taught nothing.

    `complaint` is all it said. Each ability is given up once, so asking again comes to an end.
    """
    said = complaint.lower()
    given_up: dict[str, Any] = {}
    if abilities.structured and parameters.structured == "auto" and _SCHEMA.search(said):
        given_up = {"structured": False}
    elif not _UNKNOWN.search(said):
        return None
    elif parameters.max_tokens is not None and not abilities.limit_swapped and abilities.limit_name in said:
        given_up = {"limit_name": _OTHER_LIMIT[abilities.limit_name], "limit_swapped": True}
    elif abilities.detail and _DETAIL.search(said):
        given_up = {"detail": False}
    elif abilities.temperature and "temperature" in said:
        given_up = {"temperature": False}
    elif abilities.reasoning_effort and "reasoning" in said:
        given_up = {"reasoning_effort": False}
    return replace(abilities, **given_up) if given_up else None
