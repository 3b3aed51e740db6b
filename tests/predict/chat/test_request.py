"""What a server is sent, and what is left out once it said that it does not understand."""

import base64
from typing import Any

import pytest

from maploop.contract import Contract
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.chat.request import abilities_of, chat_request, without_what_is_refused

PARAMETERS = ChatParameters.of({})
ELSEWHERE = ChatParameters.of({"base_url": "http://localhost:8000/v1"})


def test_a_request_is_the_contract_with_its_schema_and_limits(contract: Contract) -> None:
    body = chat_request(contract, b"now", [(b"before", "{}")], "gpt-4o", PARAMETERS)
    assert body["model"] == "gpt-4o"
    assert body["messages"] == contract.messages(b"now", shots=[(b"before", "{}")])
    assert body["response_format"] == contract.response_format
    assert (body["max_completion_tokens"], body["temperature"]) == (8192, 0.0)
    assert set(body) == {"model", "messages", "response_format", "max_completion_tokens", "temperature"}


def test_other_servers_are_told_the_limit_by_its_older_name(contract: Contract) -> None:
    for url in ("http://localhost:11434/v1", "https://api.together.xyz/v1", "https://notopenai.com/v1"):
        body = chat_request(contract, b"now", [], "m", ChatParameters.of({"base_url": url}))
        assert "max_tokens" in body
    azure = ChatParameters.of({"base_url": "https://mine.openai.azure.com/openai/v1", "key": "AZURE_KEY"})
    assert "max_completion_tokens" in chat_request(contract, b"now", [], "m", azure)


def test_what_is_not_wanted_is_not_sent(contract: Contract) -> None:
    wishes = ChatParameters.of({"structured": "plain", "max_tokens": None, "temperature": None})
    assert set(chat_request(contract, b"now", [], "m", wishes)) == {"model", "messages"}
    effort = ChatParameters.of({"reasoning_effort": "low"})
    assert chat_request(contract, b"now", [], "m", effort)["reasoning_effort"] == "low"


@pytest.mark.parametrize(
    ("complaint", "lost", "came"),
    [
        ("Unrecognized request argument supplied: response_format", "response_format", None),
        ("'response_format.type' must be 'text' or 'json_object'", "response_format", None),
        ("Invalid parameter: 'response_format' of type 'json_schema' is not supported", "response_format", None),
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens", "max_completion"),
        ("Unsupported value: 'temperature' does not support 0.0 with this model.", "temperature", None),
        ("Unknown parameter: 'reasoning_effort'.", "reasoning_effort", None),
    ],
)
def test_a_complaint_takes_away_what_it_is_about(contract: Contract, complaint: str, lost: str, came: Any) -> None:
    wishes = ELSEWHERE.model_copy(update={"reasoning_effort": "low"})
    before = abilities_of(wishes)
    after = without_what_is_refused(before, wishes, complaint)
    assert after is not None
    first = chat_request(contract, b"now", [], "m", wishes, before)
    second = chat_request(contract, b"now", [], "m", wishes, after)
    assert set(first) - set(second) == {lost}
    assert all(name.startswith(came) for name in set(second) - set(first)) if came else set(second) < set(first)


@pytest.mark.parametrize(
    "complaint",
    [
        "Invalid value: 'original'. Supported values are: 'low', 'high'. messages[1].content[1].image_url.detail",
        "messages.1.content.1.image_url.detail: Extra inputs are not permitted",
        "unknown field 'detail'",
    ],
)
def test_an_unknown_detail_is_left_out_of_every_picture(contract: Contract, complaint: str) -> None:
    after = without_what_is_refused(abilities_of(PARAMETERS), PARAMETERS, complaint)
    assert after is not None
    body = chat_request(contract, b"now", [(b"before", "{}")], "m", PARAMETERS, after)
    pictures = [message["content"][1]["image_url"] for message in body["messages"] if message["role"] == "user"]
    assert [set(each) for each in pictures] == [{"url"}, {"url"}]
    assert pictures[1]["url"].endswith(base64.b64encode(b"now").decode())
    assert "detail" in contract.messages(b"now")[1]["content"][1]["image_url"]


def test_other_complaints_teach_nothing_and_no_ability_is_lost_twice() -> None:
    knows = abilities_of(PARAMETERS)
    assert without_what_is_refused(knows, PARAMETERS, "The image is too large.") is None
    assert without_what_is_refused(knows, PARAMETERS, "max_completion_tokens is too large: 8192") is None
    said = "unsupported: response_format, max_tokens, max_completion_tokens, 'detail', temperature, reasoning_effort"
    rounds = 0
    while (less := without_what_is_refused(knows, PARAMETERS, said)) is not None:
        knows, rounds = less, rounds + 1
    assert rounds == 5


def test_strict_means_that_the_schema_is_never_given_up() -> None:
    strict = ChatParameters.of({"structured": "strict"})
    assert without_what_is_refused(abilities_of(strict), strict, "response_format is not supported") is None
