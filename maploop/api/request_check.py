"""Refuses requests that another site has a browser make, before anything else looks at them: ASGI middleware.

Host must be a name the app is known by, which stops DNS rebinding. Origin must be the app's own, to the port: pages of
other programs on this machine are strangers as well. Sec-Fetch-Site tells of requests that bring no Origin.
"""

from collections.abc import Callable, Sequence
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maploop.api.content_policy import security_headers

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class RequestCheck:
    """Answers 403 to strangers and puts security headers on every answer.

    `allowed_hosts` gives the names the app is known by, `*.example.org` for all below one; asked with every request.
    Requests of programs that are no browsers bring neither Origin nor Sec-Fetch-Site and pass by their Host.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Callable[[], Sequence[str]] = lambda: LOOPBACK) -> None:
        self.app = app
        self._allowed_hosts = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it: a web socket by closing it before it opens."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = why_refused(scope, self._allowed_hosts())
        if refusal is None:
            await self.app(scope, receive, _with_headers(scope, send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[:120]})
        else:
            await PlainTextResponse(refusal, 403)(scope, receive, _with_headers(scope, send))


def why_refused(scope: Scope, allowed_hosts: Sequence[str]) -> str | None:
    """Why a request must not be answered, in one line; None when it may."""
    headers = Headers(scope=scope)
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    host = _authority(hosts[0]) if len(hosts) == 1 else None
    if host is None or not _is_allowed(host.hostname or "", allowed_hosts):
        given = hosts[0][:80] if hosts else "no host"
        return f"Maploop is not known as {given!r} here: add the name to server.allowedHosts, or use one that is there."
    if len(origins) > 1 or (origins and not _is_own(origins[0], scope["scheme"], host)):
        return f"Requests of {origins[0][:80]!r} are not answered: open Maploop itself."
    if not origins and headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _is_visit(headers):
        return "Requests of other sites are not answered: open Maploop itself."
    return None


def _authority(text: str) -> SplitResult | None:
    """HOST[:PORT], and nothing but that."""
    try:
        parts = urlsplit(f"//{text}")
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname and parts.netloc == text and "@" not in text else None


def _is_allowed(host: str, patterns: Sequence[str]) -> bool:
    name = host.lower().rstrip(".")
    for each in patterns:
        pattern = each.strip().lower().strip("[]").rstrip(".")
        if pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:])):
            return True
    return False


def _is_own(origin: str, scheme: str, host: SplitResult) -> bool:
    """Whether an origin is the one that the request went to.

    Behind a proxy that speaks TLS for it, a public name is reached by https while the app itself sees http.
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    ours = "https" if scheme in ("https", "wss") else "http"
    by_proxy = parts.scheme == "https" and host.hostname not in LOOPBACK
    if parts.scheme != ours and not by_proxy:
        return False
    return (parts.hostname, port or _PORTS[parts.scheme]) == (host.hostname, host.port or _PORTS[parts.scheme])


def _is_visit(headers: Headers) -> bool:
    """Whether somebody followed a link: the whole tab shows the answer, and the other site sees nothing of it."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _with_headers(scope: Scope, send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in security_headers(scope["path"]).items():
                headers.setdefault(name, value)
        await send(message)

    return sent
