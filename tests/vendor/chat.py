"""`/v1/chat/completions`: a question is checked, answered by a brain, perhaps spoilt by a fault, and charged for."""

import asyncio
import math
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.vendor.bill import Charge, Kind
from tests.vendor.faults import Fault, Reply
from tests.vendor.http import body_of, perform
from tests.vendor.pictures import picture_hash, picture_in, picture_tokens
from tests.vendor.schemas import check_response_format
from tests.vendor.state import Question, State
from tests.vendor.wire import Json, RefusedError, checked_metadata, known_fields, of_type, one_of, required

FIELDS = {
    "messages", "model", "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens",
    "metadata", "modalities", "n", "parallel_tool_calls", "presence_penalty", "prompt_cache_key", "reasoning_effort",
    "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "temperature",
    "top_logprobs", "top_p", "user", "verbosity",
}  # fmt: skip
_CACHED_FROM, _CACHED_BY = 1024, 128  # tokens


def is_tuned(model: str) -> bool:
    """Whether it came out of a tuning job."""
    return model.startswith("ft:")


def reasons(model: str) -> bool:
    """Models of a newer kind, which take other parameters."""
    return model.startswith(("gpt-5", "gpt-6", "o"))


def question_of(state: State, body: Any, custom_id: str | None = None) -> tuple[Question, int, int]:
    """A checked question, the tokens of its prompt, and those before its last message. Raises RefusedError."""
    known_fields(body, FIELDS)
    model = required(body, "model", str)
    messages = required(body, "messages", list)
    if model not in state.models:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise RefusedError(404, message, code="model_not_found", param="model")
    _check_parameters(state, body, model)
    check_response_format(body, tuned=is_tuned(model), knows_schemas=state.manner.knows_schemas)
    if not messages:
        raise RefusedError(400, "Invalid 'messages': empty array.", code="empty_array", param="messages")
    pictures: list[bytes] = []
    texts: dict[str, str] = {}
    tokens = before = 0
    for index, message in enumerate(messages):
        before = tokens
        role, text, shown, used = read_message(message, f"messages[{index}]", knows_detail=state.manner.knows_detail)
        pictures += shown
        tokens += used
        texts[role] = text
    if len(pictures) > state.limits.images_a_question:
        raise RefusedError(400, "Too many images in the request.", code="too_many_images", param="messages")
    picture = picture_hash(pictures[-1]) if pictures else None
    system = texts.get("system", texts.get("developer", ""))
    return Question(model, body, system, texts.get("user", ""), pictures, picture, custom_id), tokens, before


def read_message(
    message: Any,
    path: str,
    *,
    roles: tuple[str, ...] = ("system", "developer", "user", "assistant"),
    knows_detail: bool,
) -> tuple[str, str, list[bytes], int]:
    """Role, text, pictures and tokens of a message. Raises RefusedError."""
    known_fields(message, {"role", "content", "name", "refusal", "weight"}, path)
    role = one_of(required(message, "role", str, path), roles, f"{path}.role")
    if "weight" in message and (role != "assistant" or message["weight"] not in (0, 1)):
        raise RefusedError(400, f"Invalid '{path}.weight'.", code="invalid_value", param=f"{path}.weight")
    content = required(message, "content", (str, list), path)
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text, pictures, tokens = "", [], 4
    for index, part in enumerate(parts):
        where = f"{path}.content[{index}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if one_of(kind, ("text", "image_url"), f"{where}.type") == "text":
            known_fields(part, {"type", "text"}, where)
            text += required(part, "text", str, where)
            continue
        if role != "user":
            raise RefusedError(
                400, f"Invalid '{where}': images are for the user only.", code="invalid_value", param=where
            )
        known_fields(part, {"type", "image_url"}, where)
        fields = {"url", "detail"} if knows_detail else {"url"}
        image = known_fields(required(part, "image_url", dict, where), fields, f"{where}.image_url")
        detail = one_of(image.get("detail", "auto"), ("low", "high", "auto", "original"), f"{where}.image_url.detail")
        pictures.append(picture_in(image.get("url"), f"{where}.image_url.url"))
        tokens += picture_tokens(pictures[-1], detail)
    return role, text, pictures, tokens + text_tokens(text)


def text_tokens(text: str) -> int:
    """Four characters a token."""
    return math.ceil(len(text) / 4)


def _check_parameters(state: State, body: Json, model: str) -> None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit = of_type(body, name, int)
        if limit is not None and limit < 1:
            raise RefusedError(400, f"Invalid '{name}': at least 1.", code="integer_below_min_value", param=name)
        if name in body and (name not in state.manner.token_limits or (name == "max_tokens" and reasons(model))):
            raise RefusedError(400, f"Unsupported parameter: '{name}'.", code="unsupported_parameter", param=name)
    for name, most in (("temperature", 2), ("top_p", 1)):
        value = of_type(body, name, (int, float))
        if value is not None and not 0 <= value <= most:
            raise RefusedError(400, f"Invalid '{name}': 0 to {most}.", code="decimal_above_max_value", param=name)
        if value not in (None, 1) and reasons(model):
            message = f"Unsupported value: '{name}' does not support {value} with this model."
            raise RefusedError(400, message, code="unsupported_value", param=name)
    if body.get("reasoning_effort") is not None and not reasons(model):
        raise RefusedError(400, "Unrecognized request argument supplied: reasoning_effort", param="reasoning_effort")
    of_type(body, "seed", int)
    if of_type(body, "stream", bool) or of_type(body, "n", int) not in (None, 1):
        raise RefusedError(400, "This server answers once and whole.", code="unsupported_value", param="stream")
    if checked_metadata(body) and not body.get("store"):
        raise RefusedError(400, "'metadata' is only allowed when 'store' is enabled.", param="metadata")


def completion(
    state: State,
    question: Question,
    tokens: int,
    before: int,
    fault: Fault | None,
    *,
    kind: Kind = "chat",
    part_of: str | None = None,
) -> Json:
    """The answer as the vendor sends it, after charging for it."""
    said = state.brain_of(question.model)(question)
    reply = said if isinstance(said, Reply) else Reply(said)
    if fault is not None and fault.change is not None:
        reply = fault.change(reply)
    limit = question.body.get("max_completion_tokens", question.body.get("max_tokens"))
    if limit is not None and reply.content and text_tokens(reply.content) > limit:
        reply = Reply(reply.content[: limit * 4], finish_reason="length")
    output = text_tokens(reply.content or "") + text_tokens(reply.refusal or "")
    cached, written = _cache(state, question, before)
    state.bill.charges.append(
        Charge(
            kind,
            question.model,
            question.picture,
            input_tokens=tokens - cached - written,
            cached_tokens=cached,
            cache_write_tokens=written,
            output_tokens=output,
            part_of=part_of,
            custom_id=question.custom_id,
        )
    )
    usage: Json = {"prompt_tokens": tokens, "completion_tokens": output, "total_tokens": tokens + output}
    if state.manner.usage_details:
        usage["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": 0}
        usage["completion_tokens_details"] = {"reasoning_tokens": 0, "audio_tokens": 0}
    message: Json = {"role": "assistant", "content": reply.content, "refusal": reply.refusal, "annotations": []}
    answer: Json = {
        "id": state.clock.new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": state.clock.now(),
        "model": question.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}],
        "service_tier": "default",
        "system_fingerprint": "fp_loopback",
    }
    return {**answer, "usage": usage} if state.manner.usage else answer


def _cache(state: State, question: Question, before: int) -> tuple[int, int]:
    """Prompt tokens read from the cache and written to it: what stands before the last message, when it is long."""
    size = before // _CACHED_BY * _CACHED_BY
    if size < _CACHED_FROM:
        return 0, 0
    key = (question.model, str(question.body["messages"][:-1]))
    if key in state.prefixes:
        return size, 0
    state.prefixes.add(key)
    return 0, size if reasons(question.model) else 0


async def complete(request: Request) -> Response:
    """The route."""
    state: State = request.app.state.vendor
    with state.lock:
        if state.limits.at_once is not None and state.in_flight >= state.limits.at_once:
            raise RefusedError(
                429,
                "Rate limit reached.",
                code="rate_limit_exceeded",
                kind="requests",
                headers={"retry-after-ms": "20"},
            )
        state.in_flight += 1
        state.most_in_flight = max(state.most_in_flight, state.in_flight)
    try:
        body = await body_of(request)
        return await _answered(request, state, body)
    finally:
        with state.lock:
            state.in_flight -= 1


async def _answered(request: Request, state: State, body: Any) -> Response:
    with state.lock:
        question, tokens, before = question_of(state, body)
        request.state.picture = question.picture
        spoilt: Fault | None = request.state.fault
        fault = spoilt if spoilt and spoilt.change else state.faults.for_question(question.picture)
    request.state.fault = spoilt or fault
    if state.latency:
        await asyncio.sleep(state.latency)
    while state.held is not None and not state.held.is_set():
        await asyncio.sleep(0.005)

    def answer() -> Response:
        with state.lock:
            return JSONResponse(completion(state, question, tokens, before, fault))

    return await perform(request, fault, answer)
