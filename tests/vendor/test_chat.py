"""The vendor of the tests, asked: what it takes, refuses, spoils and counts."""

import threading
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.types import Model
from openai.types.chat import ChatCompletion
from pydantic import TypeAdapter

from maploop.prices import load_prices
from tests.vendor import (
    CONTENT_FILTER,
    EMPTY,
    HALF,
    HANG,
    HANG_AFTER,
    NONSENSE,
    OUT_OF_RANGE,
    REFUSAL,
    RESET,
    RESET_AFTER,
    SELF_INTERSECTING,
    TRUNCATED,
    Fault,
    Vendor,
    picture_hash,
    rate_limit,
    server_error,
)
from tests.vendor.questions import ANSWER, a_body, a_picture, a_schema, data_url

TUNED = "ft:gpt-4o-2024-08-06:loopback::a"


def ask(vendor: Vendor, **changes: Any) -> ChatCompletion:
    answer: ChatCompletion = vendor.client(**changes.pop("options", {})).chat.completions.create(
        **{**a_body(), **changes}
    )
    return answer


def test_a_question_about_a_picture_is_answered_and_charged_for(vendor: Vendor) -> None:
    picture = a_picture(1)
    vendor.brain = lambda question: ANSWER if question.picture == picture_hash(picture) else "{}"
    answer = ask(vendor, messages=a_body(picture)["messages"])
    TypeAdapter(ChatCompletion).validate_python(answer.to_dict())
    assert answer.choices[0].message.content == ANSWER
    assert answer.usage is not None
    (charge,) = vendor.bill.charges
    assert charge.input_tokens == answer.usage.prompt_tokens
    assert charge.output_tokens == answer.usage.completion_tokens
    cost = (charge.input_tokens * 2.5 + charge.output_tokens * 10) / 1e6
    assert vendor.bill.cost(load_prices().price_of) == pytest.approx(cost)


def test_what_stands_before_the_last_message_is_read_from_the_cache_the_second_time(vendor: Vendor) -> None:
    long = [{"role": "system", "content": "x" * 6000}, *a_body()["messages"]]
    first, second = ask(vendor, messages=long), ask(vendor, messages=long)
    details = [each.usage.prompt_tokens_details for each in (first, second) if each.usage]
    assert [each.cached_tokens for each in details if each] == [0, 1408]
    ask(vendor, model="gpt-6-luna", messages=long)
    assert [each.cache_write_tokens for each in vendor.bill.charges] == [0, 0, 1408]


def test_models_are_listed_and_tell_when_they_go(vendor: Vendor) -> None:
    vendor.models["gpt-4o"]["shutdown_date"] = "2027-01-14"
    model = vendor.client().models.retrieve("gpt-4o")
    TypeAdapter(Model).validate_python(model.to_dict())
    assert model.shutdown_date == "2027-01-14"
    assert "gpt-4.1" in {each.id for each in vendor.client().models.list()}
    with pytest.raises(openai.NotFoundError):
        vendor.client().models.retrieve("gpt-2")


@pytest.mark.parametrize("key", ["", "sk-wrong"])
def test_without_a_valid_key_there_is_no_answer(vendor: Vendor, key: str) -> None:
    with pytest.raises((openai.AuthenticationError, openai.OpenAIError)):
        ask(vendor, options={"api_key": key})
    assert not vendor.bill.charges


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"extra_body": {"surprise": 1}}, "unknown_parameter"),
        ({"model": "gpt-2"}, "model_not_found"),
        ({"messages": []}, "empty_array"),
        ({"temperature": 3}, "decimal_above_max_value"),
        ({"model": "gpt-6-luna", "temperature": 0}, "unsupported_value"),
        ({"model": "gpt-6-luna", "max_tokens": 9}, "unsupported_parameter"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_value"),
        ({"messages": [{"role": "user", "content": "x", "mood": "good"}]}, "unknown_parameter"),
        ({"messages": a_body(url="https://example.org/a.png")["messages"]}, "invalid_image_url"),
        ({"messages": a_body(url="data:image/png;base64,AAAA")["messages"]}, "invalid_image"),
        ({"messages": a_body(url=data_url(a_picture(1), "jpeg"))["messages"]}, "invalid_image_format"),
        ({"messages": a_body(a_picture(1, mode="RGBA"))["messages"]}, "invalid_image_format"),
        ({"messages": [{**a_body()["messages"][0], "role": "assistant"}]}, "invalid_value"),
    ],
)
def test_what_the_vendor_would_refuse_is_refused(vendor: Vendor, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(vendor, **changes)
    assert caught.value.code == code
    assert not vendor.bill.charges


@pytest.mark.parametrize(
    "keyword", ["minimum", "maximum", "minItems", "maxItems", "maxLength", "pattern", "multipleOf", "format"]
)
def test_keywords_that_only_untuned_models_take(vendor: Vendor, keyword: str) -> None:
    vendor.add_models([TUNED])
    schema = a_schema({"type": "string", keyword: 1})
    ask(vendor, response_format=schema)
    with pytest.raises(openai.BadRequestError, match=keyword):
        ask(vendor, model=TUNED, response_format=schema)


@pytest.mark.parametrize("keyword", ["prefixItems", "allOf", "not", "uniqueItems", "patternProperties"])
def test_keywords_that_no_strict_schema_takes(vendor: Vendor, keyword: str) -> None:
    with pytest.raises(openai.BadRequestError, match=keyword):
        ask(vendor, response_format=a_schema({"type": "string", keyword: []}))


def test_a_strict_schema_must_require_everything(vendor: Vendor) -> None:
    format_ = a_schema({"type": "string"})
    format_["json_schema"]["schema"]["required"] = []
    with pytest.raises(openai.BadRequestError, match="required"):
        ask(vendor, response_format=format_)


@pytest.mark.parametrize(
    ("fault", "error", "billed"),
    [
        (rate_limit("7"), openai.RateLimitError, 0),
        (server_error(), openai.InternalServerError, 0),
        (server_error(503), openai.InternalServerError, 0),
        (HANG, openai.APITimeoutError, 0),
        (HANG_AFTER, openai.APITimeoutError, 1),
        (RESET, openai.APIConnectionError, 0),
        (RESET_AFTER, openai.APIConnectionError, 1),
        (HALF, openai.APIConnectionError, 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["request", "picture", "route"])
def test_faults_of_the_line(vendor: Vendor, fault: Fault, error: type[Exception], billed: int, way: str) -> None:
    plan: dict[str, Callable[[], None]] = {
        "request": lambda: vendor.faults.on_request(1, fault),
        "picture": lambda: vendor.faults.on_picture(picture_hash(a_picture(0)), fault),
        "route": lambda: vendor.faults.on_route("POST /v1/chat/*", fault),
    }
    plan[way]()
    with pytest.raises(error) as caught:
        ask(vendor, options={"timeout": 0.5})
    if isinstance(caught.value, openai.RateLimitError):
        assert caught.value.response.headers["retry-after"] == "7"
    assert len(vendor.bill.charges) == billed
    ask(vendor)
    assert vendor.faults.used == [fault]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(TRUNCATED, "length"), (CONTENT_FILTER, "content_filter"), (REFUSAL, "stop"), (NONSENSE, "stop"), (EMPTY, "stop")],
    ids=str,
)
def test_faults_of_answers_are_paid_for(vendor: Vendor, fault: Fault, reason: str) -> None:
    vendor.brain = lambda _: ANSWER
    vendor.faults.on_request(2, fault)
    assert ask(vendor).choices[0].message.content == ANSWER
    spoilt = ask(vendor).choices[0]
    assert spoilt.finish_reason == reason
    assert spoilt.message.content != ANSWER
    assert (spoilt.message.refusal is not None) == (fault is REFUSAL)
    assert len(vendor.bill.charges) == 2


@pytest.mark.parametrize("fault", [OUT_OF_RANGE, SELF_INTERSECTING], ids=str)
@pytest.mark.parametrize("said", [ANSWER, '{"features":[]}'])
def test_bad_geometry_is_json_still(vendor: Vendor, fault: Fault, said: str) -> None:
    vendor.brain = lambda _: said
    vendor.faults.on_request(1, fault)
    content = ask(vendor).choices[0].message.content
    assert content is not None
    assert '"points": [[' in content


def test_a_rate_of_faults_is_the_same_whatever_the_order(vendor: Vendor) -> None:
    vendor.faults.at_rate(0.5, [NONSENSE], seed=3)
    bodies = [a_body(a_picture(seed)) for seed in range(20)]
    first = [ask(vendor, **body).choices[0].message.content for body in bodies]
    assert 4 < first.count('{"features":[]}') < 16
    with Vendor() as other:
        other.faults.at_rate(0.5, [NONSENSE], seed=3)
        assert [ask(other, **body).choices[0].message.content for body in reversed(bodies)] == first[::-1]


def test_it_goes_away_and_comes_back_with_all_it_knows(vendor: Vendor) -> None:
    ask(vendor)
    vendor.stop()
    with pytest.raises(openai.APIConnectionError):
        ask(vendor)
    vendor.start()
    ask(vendor)
    assert len(vendor.bill.charges) == 2


def test_more_at_once_than_it_likes_are_told_to_wait(vendor: Vendor) -> None:
    vendor.limits.at_once = 1
    vendor.held = threading.Event()
    held = threading.Thread(target=lambda: ask(vendor))
    held.start()
    while not vendor.in_flight:
        held.join(0.001)
    with pytest.raises(openai.RateLimitError):
        ask(vendor)
    vendor.held.set()
    held.join()
    assert vendor.most_in_flight == 1


def test_it_can_be_as_plain_as_a_server_at_home(vendor: Vendor) -> None:
    manner = vendor.manner
    manner.needs_key = manner.knows_schemas = manner.usage_details = manner.knows_detail = False
    manner.token_limits = ("max_tokens",)
    plain = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": data_url(a_picture(1))}}]}]
    answer = ask(vendor, messages=plain, max_tokens=50, options={"api_key": "none"})
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is None
    for changes in ({"max_completion_tokens": 5}, {"response_format": a_schema({"type": "string"})}, a_body()):
        with pytest.raises(openai.BadRequestError):
            ask(vendor, **{"messages": plain, **changes})
