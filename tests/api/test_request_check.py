"""Requests that another site has a browser make are refused before anything else looks at them."""

from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from maploop.api.annotator import HEADER, TabAnnotator
from maploop.api.request_check import LOOPBACK, RequestCheck

OWN = "http://127.0.0.1:8501"
STRANGERS = (
    "http://127.0.0.1:8502",
    "http://127.0.0.1",
    "https://127.0.0.1:8501",
    "http://localhost:8501",
    "http://evil.example",
    "http://127.0.0.1:8501.evil.example",
    "http://127.0.0.1:x",
    "ftp://127.0.0.1:8501",
    "null",
    "",
)


async def _echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json({"name": socket.headers.getlist(HEADER)})
    await socket.close()


async def _page(_request: Request) -> Response:
    return HTMLResponse("<!DOCTYPE html><html><head><script>window.x = 1</script></head><body></body></html>")


def a_client(hosts: Sequence[str] = LOOPBACK, base_url: str = OWN) -> TestClient:
    """An app behind both middlewares, asked under `base_url`."""
    routes = [
        WebSocketRoute("/_stcore/stream", _echo),
        Route("/api/review/outbox", lambda _request: PlainTextResponse("stored"), methods=["GET", "POST"]),
        Route("/component/map.html", _page),
        Route("/", _page),
    ]
    guards = [Middleware(RequestCheck, allowed_hosts=lambda: hosts), Middleware(TabAnnotator)]
    return TestClient(Starlette(routes=routes, middleware=guards), base_url=base_url)


@pytest.mark.parametrize("origin", STRANGERS)
def test_no_stranger_gets_a_page_a_request_or_a_web_socket(origin: str) -> None:
    client = a_client()
    for path in ("/", "/api/review/outbox"):
        answer = client.get(path, headers={"Origin": origin})
        assert (answer.status_code, "stored" in answer.text) == (403, False)
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("ws://127.0.0.1:8501/_stcore/stream", headers={"Origin": origin}),
    ):
        pass


def test_the_app_itself_and_programs_that_are_no_browsers_are_answered() -> None:
    client = a_client()
    for headers in ({}, {"Origin": OWN}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert client.post("/api/review/outbox", headers=headers).text == "stored"
    with client.websocket_connect("ws://127.0.0.1:8501/_stcore/stream", headers={"Origin": OWN}) as socket:
        assert socket.receive_json() == {"name": []}


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example@127.0.0.1", "127.0.0.1:x", ""]
)
def test_a_host_the_app_is_not_known_by_is_refused_with_the_remedy(host: str) -> None:
    answer = a_client().get("/", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 403
    assert "server.allowedHosts" in answer.text


def test_two_hosts_or_two_origins_are_one_too_many() -> None:
    client = a_client()
    twice: Any = [("Host", "127.0.0.1:8501"), ("Host", "evil.example")]
    assert client.get("/", headers=twice).status_code == 403
    twice = [("Origin", OWN), ("Origin", "http://evil.example")]
    assert client.get("/", headers=twice).status_code == 403


def test_other_sites_may_link_to_a_page_but_neither_frame_it_nor_load_from_it() -> None:
    client = a_client()
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers={**visit, "Sec-Fetch-Dest": "document"}).status_code == 200
    assert client.get("/", headers={**visit, "Sec-Fetch-Dest": "iframe"}).status_code == 403
    for site in ("cross-site", "same-site"):  # another port of this machine is the same site
        loaded = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        assert client.get("/api/review/outbox", headers=loaded).status_code == 403


def test_a_public_name_is_reached_through_a_proxy_that_speaks_tls() -> None:
    client = a_client(("*.example.org",), "http://maps.example.org")
    assert client.get("/", headers={"Origin": "https://maps.example.org"}).status_code == 200
    assert client.get("/", headers={"Origin": "https://other.example.org"}).status_code == 403
    assert client.get("/", headers={"Host": "127.0.0.1:8501"}).status_code == 403


def test_every_answer_carries_the_security_headers_and_a_page_allows_its_own_scripts_only() -> None:
    client = a_client()
    answers = [client.get("/"), client.get("/component/map.html"), client.get("/", headers={"Origin": "null"})]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert "connect-src 'self'" in answer.headers["content-security-policy"]
    page, component, _ = (each.headers["content-security-policy"] for each in answers)
    assert "'sha256-" in page
    assert "script-src 'self' blob:" in page
    assert "'unsafe-eval'" not in page
    assert "'unsafe-eval'" in component


def test_a_web_socket_brings_the_tabs_name_and_nobody_forges_the_header() -> None:
    client = a_client()
    address = "ws://127.0.0.1:8501/_stcore/stream?annotator=%C3%85sa%20%26%20Co"
    with client.websocket_connect(address, headers={HEADER: "anna"}) as socket:
        assert socket.receive_json() == {"name": ["%C3%85sa%20%26%20Co"]}
    with client.websocket_connect("ws://127.0.0.1:8501/_stcore/stream", headers={HEADER: "anna"}) as socket:
        assert socket.receive_json() == {"name": []}


def test_a_document_begins_with_the_script_that_keeps_the_name() -> None:
    client = a_client()
    assert '<head><script src="/assets/page/annotator.js"></script>' in client.get("/").text
    assert "annotator.js" not in client.get("/component/map.html").text
