"""Requests go to the server that a model names, and nowhere else."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.chat.server import Trouble, open_server
from maploop.tune.clients import client_of
from tests.vendor import KEY


class Recorder(BaseHTTPRequestHandler):
    """Notes who asked for what, and sends on whoever asks below /moved."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        server: Any = self.server
        server.asked.append(self.path)
        if "/moved/" in self.path:
            self.send_response(307)
            self.send_header("location", f"http://localhost:{server.server_port}/elsewhere")
        else:
            self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815  the name that the library calls

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A server that sends on, and a key that may go to it."""
    monkeypatch.setenv("TOWN_KEY", KEY)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def asked_of(server: ThreadingHTTPServer) -> list[str]:
    paths: list[str] = server.asked  # type: ignore[attr-defined]
    return paths


def test_a_server_that_redirects_is_not_followed(recorder: ThreadingHTTPServer) -> None:
    parameters = ChatParameters(base_url=f"http://127.0.0.1:{recorder.server_port}/moved/v1", key="TOWN_KEY")
    answer = open_server(parameters).complete({"model": "m", "messages": []}, datetime.now(UTC))
    assert isinstance(answer, Trouble)
    client = client_of(parameters)
    with pytest.raises(Exception, match="307"):
        client.models.list()
    assert asked_of(recorder) == ["/moved/v1/chat/completions", "/moved/v1/models"]


def test_a_server_of_ones_own_is_asked_without_a_proxy(
    recorder: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{recorder.server_port}")
    parameters = ChatParameters(base_url="http://127.0.0.1:9/v1", key="TOWN_KEY", attempts=1)
    answer = open_server(parameters).complete({"model": "m", "messages": []}, datetime.now(UTC))
    assert isinstance(answer, Trouble)
    assert answer.failure.kind == "unreachable"
    assert asked_of(recorder) == []
