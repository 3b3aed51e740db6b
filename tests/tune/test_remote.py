"""The adapter to servers with fine-tuning routes: what is made of replies that differ from the vendor's."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import openai
import pytest

from maploop.errors import InputError
from maploop.tune.explain import date_in
from maploop.tune.jobs import CheckpointView, best_checkpoint
from maploop.tune.remote import Remote, ServerBusyError, ServerRefusedError, suffix_of

URL = "http://localhost:9/v1"
Answer = Callable[[httpx2.Request], httpx2.Response]


def remote_of(answer: Answer, key: str = "sk-very-secret") -> Remote:
    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return Remote(openai.OpenAI(base_url=URL, api_key=key, max_retries=0, http_client=client), URL, "base")


def says(status: int, body: Any, **headers: str) -> Answer:
    return lambda _: httpx2.Response(status, json=body, headers=headers)


def event(number: int) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "object": "fine_tuning.job.event",
        "created_at": number,
        "level": "info",
        "message": f"number {number}",
    }


def pages_of(events: list[dict[str, Any]], size: int, asked: list[str]) -> Answer:
    """A list in pages, as it is given."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        after = request.url.params.get("after")
        start = [each["id"] for each in events].index(after) + 1 if after else 0
        data = events[start : start + size]
        return httpx2.Response(200, json={"object": "list", "data": data, "has_more": start + size < len(events)})

    return answer


@pytest.mark.parametrize("newest_first", [True, False])
def test_all_new_events_are_found_in_either_order(newest_first: bool) -> None:
    events = [event(number) for number in range(10)]
    asked: list[str] = []
    answer = pages_of(events[::-1] if newest_first else events, 3, asked)
    found = remote_of(answer).events("j", frozenset({"e0", "e1", "e2", "e3", "e4"}))
    assert sorted(each.remote_id for each in found) == ["e5", "e6", "e7", "e8", "e9"]
    assert len(asked) == (2 if newest_first else 4)


def test_figures_are_numbers_and_nothing_else() -> None:
    data = {"train_loss": 0.5, "step": 3, "note": "<script>", "deep": {"a": 1}, "flag": True}
    body = {
        "object": "list",
        "has_more": False,
        "data": [{**event(1), "message": "a\n\x00b" + "x" * 900, "data": data}],
    }
    (found,) = remote_of(says(200, body)).events("j", frozenset())
    assert dict(found.metrics) == {"train_loss": 0.5, "step": 3}
    assert found.message.startswith("a b")
    assert len(found.message) <= 500
    assert found.at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "code", "kind", "text"),
    [
        (429, "rate_limit_exceeded", ServerBusyError, "is busy or failing"),
        (429, "insufficient_quota", ServerRefusedError, "wants money first"),
        (503, None, ServerBusyError, "is busy or failing"),
        (409, None, ServerRefusedError, "will not pause the training"),
        (404, None, ServerRefusedError, "may have no fine-tuning routes. Ways that remain"),
        (401, "invalid_api_key", ServerRefusedError, "does not know the key"),
        (403, "training_not_available", ServerRefusedError, "no longer trains models for this organisation"),
    ],
)
def test_refusals_are_told_from_what_passes_by(status: int, code: str | None, kind: type[Exception], text: str) -> None:
    body = {"error": {"message": "No: sk-very-secret and sk-proj-AAAA1111 <b>x</b>", "code": code, "type": "x"}}
    with pytest.raises(kind) as caught:
        remote_of(says(status, body)).ask("j", "pause")
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "AAAA" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_how_long_a_server_wants_to_rest_is_heard() -> None:
    with pytest.raises(ServerBusyError) as caught:
        remote_of(says(429, {"error": {"message": "slow"}}, **{"retry-after": "17"})).job("j")
    assert caught.value.seconds == 17


def test_a_reply_that_is_no_json_passes_by() -> None:
    with pytest.raises(ServerBusyError):
        remote_of(lambda _: httpx2.Response(200, text="<html>", headers={"content-type": "application/json"})).job("j")


def test_a_file_that_a_server_still_looks_through_is_not_ready() -> None:
    file = {"id": "f", "object": "file", "bytes": 1, "created_at": 1, "filename": "x.jsonl", "purpose": "fine-tune"}
    for status, ready in (("pending", False), ("running", False), ("uploaded", True), ("processed", True)):
        assert remote_of(says(200, {**file, "status": status})).file_is_ready("f") is ready
    with pytest.raises(InputError, match="does not take the file: line 3 is bad"):
        remote_of(says(200, {**file, "status": "error", "status_details": "line 3 is bad"})).file_is_ready("f")


@pytest.mark.parametrize(
    ("metrics", "step"),
    [
        ([{}, {}, {}], 30),
        ([{"valid_loss": 2.0}, {"valid_loss": 1.0}, {"valid_loss": 3.0}], 20),
        ([{"valid_loss": 2.0}, {"valid_loss": 1.0}, {}], 30),
        ([{"valid_loss": 1.0}, {"valid_loss": 1.0}, {"valid_loss": 3.0}], 20),
        (
            [{"valid_loss": 1, "full_valid_loss": 9}, {"valid_loss": 2, "full_valid_loss": 8}, {"full_valid_loss": 9}],
            20,
        ),
    ],
)
def test_the_best_checkpoint_has_the_lowest_validation_loss_or_is_the_last(
    metrics: list[dict[str, Any]], step: int
) -> None:
    now = datetime.now(UTC)
    checkpoints = [CheckpointView(i, 10 * (i + 1), f"c{i}", each, None, now) for i, each in enumerate(metrics)]
    best = best_checkpoint(checkpoints)
    assert best is not None
    assert best.step == step
    assert best_checkpoint([]) is None


@pytest.mark.parametrize(
    ("name", "suffix"), [("Town 1.2", "Town-1-2"), ("  ", ""), ("é/ü", ""), ("x" * 99, "x" * 64), ("--a--b--", "a-b")]
)
def test_a_suffix_is_what_servers_take(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


def test_days_are_read_from_what_servers_write() -> None:
    assert str(date_in("2027-01-14T00:00:00Z")) == "2027-01-14"
    assert date_in("2027-13-40") is None
    assert date_in("next year") is None
