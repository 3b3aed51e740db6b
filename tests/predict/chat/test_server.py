"""What servers say when they do not answer, told in plain words and without the key."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from maploop.errors import AccessError, ConflictError, InputError, MaploopError, NotFoundError
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.chat.server import ChatServer, Trouble, open_server

KEY = "sk-proj-abcdefghijklmnop"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ELSEWHERE = {"base_url": "https://models.example/v1", "key": "EXAMPLE_KEY"}


def replying(status: int, body: Any, headers: dict[str, str] | None = None) -> httpx2.Client:
    return httpx2.Client(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(status, json=body, headers=headers or {}))
    )


def complaint(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def told(http_client: httpx2.Client, values: dict[str, Any] | None = None) -> object:
    parameters = ChatParameters.of(ELSEWHERE if values is None else values)
    server = ChatServer(parameters, key=SecretStr(KEY), http_client=http_client)
    return server.complete({"model": "eyes-1", "messages": []}, NOON)


@pytest.mark.parametrize(
    ("status", "body", "error", "expected"),
    [
        (401, complaint(f"Incorrect API key provided: {KEY}."), AccessError, "set EXAMPLE_KEY to a valid one"),
        (401, "no", AccessError, "models.example does not accept the key in EXAMPLE_KEY"),
        (403, complaint("Country not supported"), AccessError, "use model 'eyes-1': ask for access to it"),
        (403, complaint(f"Key {KEY} may not"), AccessError, "It says: Key [key] may not"),
        (403, complaint("Key sk-proj-abcd*****mnop may not"), AccessError, "It says: Key [key] may not"),
        (404, complaint("The model does not exist", "model_not_found"), NotFoundError, "no model 'eyes-1' under https"),
        (402, complaint("Payment required"), ConflictError, "has no credit left: top it up"),
        (429, complaint("You exceeded your quota", "insufficient_quota"), ConflictError, "has no credit left"),
    ],
)
def test_what_no_tile_can_help_stops_the_run_with_a_remedy(
    status: int, body: Any, error: type[MaploopError], expected: str
) -> None:
    with pytest.raises(error) as caught:
        told(replying(status, body))
    assert expected in str(caught.value)
    shown = repr((caught.value, caught.value.__cause__, caught.value.__context__))
    assert KEY not in shown
    assert "sk-proj" not in shown
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "again", "rest"),
    [
        (429, complaint("Slow down"), {"retry-after": "3"}, "rate_limit", True, 3.0),
        (429, complaint("Slow down"), {"retry-after": "Tue, 24 Nov 2026 12:00:09 GMT"}, "rate_limit", True, 9.0),
        (429, complaint("Slow down"), {}, "rate_limit", True, None),
        (500, complaint("Oops"), {}, "server", True, None),
        (503, "busy", {"retry-after": "20"}, "server", True, 20.0),
        (504, "", {}, "timeout", True, None),
        (408, "", {}, "timeout", True, None),
        (400, complaint("Image too large"), {}, "server", False, None),
        (413, "", {}, "server", False, None),
        (400, complaint("The response was filtered", "content_filter"), {}, "refused", False, None),
        (400, complaint("Rejected", "content_policy_violation"), {}, "refused", False, None),
    ],
)
def test_what_is_about_one_tile_has_its_kind(
    status: int, body: Any, headers: dict[str, str], kind: str, again: bool, rest: float | None
) -> None:
    found = told(replying(status, body, headers))
    assert isinstance(found, Trouble)
    assert (found.failure.kind, found.again, found.rest) == (kind, again, rest)
    assert not found.unanswered


@pytest.mark.parametrize(
    ("error", "kind", "unanswered"),
    [
        (httpx2.ConnectError("refused"), "unreachable", False),
        (httpx2.ConnectTimeout("slow"), "unreachable", False),
        (httpx2.ReadTimeout("slow"), "timeout", True),
        (httpx2.ReadError("cut"), "unreachable", True),
        (httpx2.RemoteProtocolError("cut"), "unreachable", True),
    ],
)
def test_a_line_that_breaks_may_have_cost_something_once_the_request_was_sent(
    error: Exception, kind: str, unanswered: bool
) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise error

    found = told(httpx2.Client(transport=httpx2.MockTransport(fail)))
    assert isinstance(found, Trouble)
    assert (found.failure.kind, found.again, found.unanswered) == (kind, True, unanswered)


def test_what_is_no_json_comes_back_as_text() -> None:
    page = httpx2.MockTransport(lambda _: httpx2.Response(200, text="<html>Welcome</html>"))
    assert told(httpx2.Client(transport=page)) == "<html>Welcome</html>"


def test_organisation_and_key_of_openai_go_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, f"secret-{name}")
    sent: list[httpx2.Request] = []

    def note(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={})

    keyless = {"base_url": "http://localhost:11434/v1"}
    for values in ({}, keyless):
        server = open_server(ChatParameters.of(values), http_client=httpx2.Client(transport=httpx2.MockTransport(note)))
        server.complete({"model": "m", "messages": []}, NOON)
    openai, local = ("".join(f"{name}: {value}\n" for name, value in each.headers.items()) for each in sent)
    assert openai.count("secret-") == 3
    assert "secret-" not in local
    assert str(sent[1].url) == "http://localhost:11434/v1/chat/completions"


def test_a_key_with_strange_characters_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_KEY", "sk-\N{EM DASH}123")
    with pytest.raises(InputError, match="it has characters that no key has") as caught:
        open_server(ChatParameters.of(ELSEWHERE))
    assert "123" not in str(caught.value)
