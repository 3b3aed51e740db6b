"""Whatever a server replies is the outcome of a tile, and what was used is counted."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maploop.contract import Contract
from maploop.imagery.tilemath import Tile
from maploop.predict.chat.completion import read_completion, read_usage
from maploop.prices import Price

TILE = Tile(19, 309_611, 261_632)
SQUARE = [[10, 10], [60, 10], [60, 60], [10, 60]]
PRICE = Price(input=2.0, cached_input=0.5, cache_write=2.5, output=8.0)
USED = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 100},
}


def feature(**changes: object) -> dict[str, object]:
    return {"class": "building", "geometry": "polygon", "points": SQUARE, "holes": [], **changes}


def says(*features: object) -> str:
    return orjson.dumps({"features": list(features)}).decode()


def reply(content: object, finish_reason: str = "stop", **message: object) -> dict[str, Any]:
    said = {"role": "assistant", "content": content, **message}
    return {"choices": [{"index": 0, "message": said, "finish_reason": finish_reason}], "usage": USED}


def test_an_answer_becomes_features_on_the_ground(contract: Contract) -> None:
    found = read_completion(
        reply(says(feature(), feature(points=[[200, 200], [300, 200], [300, 300]]))), TILE, contract, PRICE
    )
    assert (found.tile, found.failure, len(found.features)) == (TILE, None, 2)
    west, south, east, north = TILE.bounds
    left, bottom, right, top = found.features[0].geometry.bounds
    assert west < left < right < east
    assert south < bottom < top < north


def test_nothing_there_is_an_answer_too(contract: Contract) -> None:
    found = read_completion(reply(says()), TILE, contract, PRICE)
    assert (found.failure, found.features, dict(found.dropped)) == (None, (), {})


@pytest.mark.parametrize(
    "text",
    [
        "Here you are:\n```json\n{}\n```",
        "<think>A roof? {maybe}</think>\n{}",
        "{} Anything else?",
    ],
)
def test_an_answer_in_chatter_is_found(contract: Contract, text: str) -> None:
    found = read_completion(reply(text.replace("{}", says(feature()))), TILE, contract, PRICE)
    assert len(found.features) == 1


def test_an_answer_in_parts_is_put_together(contract: Contract) -> None:
    whole = says(feature())
    parts = [{"type": "text", "text": whole[:9]}, {"type": "text", "text": whole[9:]}]
    assert len(read_completion(reply(parts), TILE, contract, PRICE).features) == 1


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (reply(None, refusal="I cannot help with that."), "refused", "The model refuses: I cannot help with that."),
        (reply(None, "content_filter"), "refused", "content filter"),
        (reply(says(feature())[:40], "length"), "truncated", "raise max_tokens"),
        (reply(""), "malformed", "The answer is empty"),
        (reply(None), "malformed", "The answer is empty"),
        (reply("Two roofs."), "malformed", "is not JSON"),
        (reply(says(feature(points=[[0, 0], [1, 1.5], [2, 2]]))), "malformed", "1.5"),
        (
            reply(says(feature(points=[[0, 0], [2000, 0], [9, 9]]))),
            "malformed",
            "None of the 1 features fits: ",
        ),
        ({"choices": []}, "malformed", "holds no answer"),
        ({"error": {"message": "out of\nmemory"}}, "malformed", "holds no answer: out of memory"),
        ("<html>", "malformed", "holds no answer"),
        (None, "malformed", "holds no answer"),
        ({"choices": [{"message": {"content": 7}}]}, "malformed", "The answer is empty"),
    ],
)
def test_what_is_no_answer_fails_with_its_kind(contract: Contract, body: Any, kind: str, message: str) -> None:
    found = read_completion(body, TILE, contract, PRICE)
    assert found.failure is not None
    assert found.failure.kind == kind
    assert message in found.failure.message
    assert "\n" not in found.failure.message
    assert found.features == ()


def test_a_failed_answer_was_paid_for(contract: Contract) -> None:
    found = read_completion(reply("Two roofs."), TILE, contract, PRICE)
    assert found.usage.output_tokens == 50
    assert found.usage.cost == pytest.approx((300 * 2 + 600 * 0.5 + 100 * 2.5 + 50 * 8) / 1e6)


def test_features_that_do_not_fit_are_left_out_and_counted(contract: Contract) -> None:
    found = read_completion(
        reply(
            says(
                feature(),
                feature(points=[[10, 10], [1200, 10], [60, 60]]),
                feature(points=[[-5, 10], [20, 10], [60, 60]]),
                feature(**{"class": "palace"}),
                feature(geometry="line"),
                feature(points=[[1, 1], [2, 2], [3, 3]]),
            )
        ),
        TILE,
        contract,
        PRICE,
    )
    assert len(found.features) == 1
    assert dict(found.dropped) == {
        "outside the image": 2,
        "not a class": 1,
        "another geometry type": 1,
        "encloses no area": 1,
    }


def test_an_outline_that_crosses_itself_is_mended_and_counted(contract: Contract) -> None:
    found = read_completion(
        reply(says(feature(points=[[0, 0], [100, 100], [100, 0], [0, 100]]), feature())), TILE, contract, PRICE
    )
    assert all(each.geometry.is_valid for each in found.features)
    assert (len(found.features), found.repaired) == (3, 2)


def test_tokens_are_counted_in_one_kind_each() -> None:
    used = read_usage({"usage": USED}, PRICE)
    counts = (used.input_tokens, used.cached_tokens, used.cache_write_tokens, used.output_tokens)
    assert counts == (300, 600, 100, 50)


def test_missing_details_of_usage_are_none_and_a_missing_usage_is_unknown() -> None:
    plain = read_usage({"usage": {"prompt_tokens": 10, "completion_tokens": 5}}, PRICE)
    assert (plain.input_tokens, plain.cached_tokens, plain.output_tokens) == (10, 0, 5)
    assert plain.cost == pytest.approx((10 * 2 + 5 * 8) / 1e6)
    assert read_usage({"usage": {"prompt_tokens": 10, "prompt_tokens_details": None}}, PRICE).input_tokens == 10
    without = {name: value for name, value in reply(says()).items() if name != "usage"}
    for answer in (without, {**without, "usage": None}):
        assert read_usage(answer, PRICE).cost is None
    bodies: list[object] = [{}, {"usage": None}, [], "<html>"]
    for nothing in bodies:
        assert read_usage(nothing, PRICE).cost == 0.0


def test_an_unknown_price_is_an_unknown_cost() -> None:
    used = read_usage({"usage": USED}, None)
    assert (used.input_tokens, used.cost) == (300, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "prompt_tokens", "refusal", "finish_reason"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_whatever_comes_is_an_outcome(contract: Contract, body: Any) -> None:
    found = read_completion(body, TILE, contract, PRICE)
    assert found.tile == TILE
    with suppress(TypeError):
        assert found.usage.cost is None or found.usage.cost >= 0
