"""The server itself: the routes as one ASGI app, in a thread, on a port of the loopback address."""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.vendor import batches, chat, files, jobs, models
from tests.vendor.http import Route as Handler
from tests.vendor.http import guarded
from tests.vendor.job_work import advance_job
from tests.vendor.state import CHATS, KEY, Seen, State
from tests.vendor.wire import RefusedError

_PREFIXES = ("/v1", "/openai/v1")
_ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", "/models", models.list_all),
    ("POST", "/chat/completions", chat.complete),
    ("POST", "/files", files.upload),
    ("GET", "/files", files.list_all),
    ("GET", "/files/{id}", files.retrieve),
    ("GET", "/files/{id}/content", files.content),
    ("DELETE", "/files/{id}", files.delete),
    ("POST", "/batches", batches.create),
    ("GET", "/batches", batches.list_all),
    ("GET", "/batches/{id}", batches.retrieve),
    ("POST", "/batches/{id}/cancel", batches.cancel),
    ("POST", "/fine_tuning/jobs", jobs.create),
    ("GET", "/fine_tuning/jobs", jobs.list_all),
    ("GET", "/fine_tuning/jobs/{id}", jobs.retrieve),
    ("GET", "/fine_tuning/jobs/{id}/events", jobs.events),
    ("GET", "/fine_tuning/jobs/{id}/checkpoints", jobs.checkpoints),
    ("POST", "/fine_tuning/jobs/{id}/cancel", jobs.cancel),
    ("POST", "/fine_tuning/jobs/{id}/pause", jobs.pause),
    ("POST", "/fine_tuning/jobs/{id}/resume", jobs.resume),
    ("GET", "/models/{id:path}", models.retrieve),
)


class Vendor(State):
    """The vendor on the loopback address; `State` says what tests can set. Use it in a `with` block."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="vendor-")
        super().__init__(Path(self._temporary.name))
        self.add_models(CHATS)
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Vendor":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The `base_url` for a client."""
        return f"http://127.0.0.1:{self._port}/v1"

    def client(self, **options: Any) -> openai.OpenAI:
        """A client of it that does not try again by itself."""
        return openai.OpenAI(base_url=self.url, **{"api_key": KEY, "max_retries": 0, **options})

    def start(self) -> None:
        """Listen; on the same port as before when it was stopped."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(256)
        self._port = listener.getsockname()[1]
        transports: dict[tuple[str, int], asyncio.Transport] = {}
        config = uvicorn.Config(
            _app(self, transports), http=_protocol(transports), ws="none", lifespan="off", log_config=None,
            access_log=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="vendor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go away: connections are cut, new ones refused. What it knows stays; `start` brings it back."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._server = self._thread = None

    def close(self) -> None:
        """Go away for good."""
        self.stop()
        self._temporary.cleanup()

    def advance(self, steps: int = 1) -> None:
        """Move every batch and every job on by so many steps."""
        with self.lock:
            for _ in range(steps):
                for batch in self.batches.values():
                    batches.advance_batch(self, batch)
                for job in self.jobs.values():
                    advance_job(self, job)

    def requests_to(self, route: str) -> list[Seen]:
        """What came in on a route such as `POST /v1/batches`, in order."""
        with self.lock:
            return [each for each in self.seen if each.route == route]


def _protocol(transports: dict[tuple[str, int], asyncio.Transport]) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP, which also lets us find the line of a request, to cut it."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            transports[tuple(transport.get_extra_info("peername"))] = transport
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(tuple(self.transport.get_extra_info("peername")), None)
            super().connection_lost(exc)

    return Protocol


def _app(vendor: Vendor, transports: dict[tuple[str, int], asyncio.Transport]) -> Starlette:
    routes = [
        Route(prefix + path, guarded(f"{method} /v1{path}", handler), methods=[method])
        for prefix in _PREFIXES
        for method, path, handler in _ROUTES
    ]
    app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found})
    app.state.vendor = vendor
    app.state.transports = transports
    return app


async def _not_found(request: Request, _: Exception) -> Response:
    message = f"Invalid URL ({request.method} {request.url.path})"
    return RefusedError(404, message, kind="invalid_request_error").response()
