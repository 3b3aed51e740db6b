"""Carrying a request through: key, faults of the line, and the record of what was seen."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.vendor.faults import Fault
from tests.vendor.state import Seen, State
from tests.vendor.wire import RefusedError

Route = Callable[[Request], Awaitable[Response]]


class CutError(Exception):
    """The connection is to be cut without an answer."""


class HalfResponse(Response):
    """Says how long it is, sends half of it, and cuts the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        raise CutError


async def body_of(request: Request) -> Any:
    """The JSON of a request. Raises RefusedError."""
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise RefusedError(400, "We could not parse the JSON body of your request.") from error


async def perform(request: Request, fault: Fault | None, work: Callable[[], Response]) -> Response:
    """Do the work of a request and answer, as far as a fault lets it. Raises CutError, RefusedError."""
    if fault is None:
        return work()
    if fault.status:
        headers = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
        limited = fault.status == 429
        raise RefusedError(
            fault.status,
            "Rate limit reached." if limited else "The server had an error while processing your request.",
            code="rate_limit_exceeded" if limited else None,
            kind="requests" if limited else "server_error",
            headers=headers,
        )
    if fault.transport == "hang":
        await _gone(request)
        raise CutError
    if fault.transport == "reset":
        raise CutError
    response = work()
    if fault.transport == "hang_after":
        await _gone(request)
    if fault.transport in ("reset_after", "hang_after"):
        raise CutError
    if fault.transport == "half":
        return HalfResponse(response.body, response.status_code, media_type=response.media_type)
    return response


async def _gone(request: Request) -> None:
    """Returns when the client has given up, or the server is going down (which uvicorn tells in the same way)."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def guarded(name: str, route: Route) -> Route:
    """A route behind the key check and the faults of the line; what comes of it is on record."""

    async def serve(request: Request) -> Response:
        state: State = request.app.state.vendor
        request.state.picture = None
        with state.lock:
            request.state.fault = state.faults.for_route(name)
        status = 0
        try:
            _check_key(request, state)
            response = await _carried(request, route)
            status = response.status_code
        except RefusedError as refused:
            response = refused.response()
            status = refused.status
        except CutError:
            _cut(request)
            response = Response(status_code=500)  # nobody gets it
        finally:
            seen = Seen(
                name, status, request.state.fault, request.state.picture, request.headers.get("idempotency-key")
            )
            with state.lock:
                state.seen.append(seen)
        if isinstance(response, HalfResponse):
            return _Cutting(response, request)
        return response

    return serve


async def _carried(request: Request, route: Route) -> Response:
    """The route, with the fault of the line before or behind it."""
    fault: Fault | None = request.state.fault
    if fault is None or fault.change is not None:
        return await route(request)
    if fault.transport in ("reset_after", "hang_after", "half") and not fault.status:
        response = await route(request)
        return await perform(request, fault, lambda: response)
    await request.body()
    return await perform(request, fault, lambda: Response(status_code=500))


class _Cutting(Response):
    def __init__(self, half: HalfResponse, request: Request) -> None:
        super().__init__()
        self._half, self._request = half, request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._half(scope, receive, send)
        except CutError:
            _cut(self._request)


def _cut(request: Request) -> None:
    """Reset the connection: what was not sent yet is lost."""
    transports: MutableMapping[tuple[str, int], asyncio.Transport] = request.app.state.transports
    transport = transports.get(tuple(request.scope["client"]))
    if transport is not None:
        line: socket.socket = transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _check_key(request: Request, state: State) -> None:
    if not state.manner.needs_key:
        return
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key if scheme == "Bearer" else request.headers.get("api-key", "")
    if not key:
        raise RefusedError(401, "You didn't provide an API key.", kind="invalid_request_error")
    if key not in state.keys:
        message = f"Incorrect API key provided: {key[:3]}***."
        raise RefusedError(401, message, code="invalid_api_key", kind="invalid_request_error")
