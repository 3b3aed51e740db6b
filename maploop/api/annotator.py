"""The name that a browser tab works under, from the tab to the pages: ASGI middleware and the markup that keeps it.

`static/annotator.js` says how the browser keeps it; docs/decisions/who-a-tab-works-as.md why so.
"""

from pathlib import Path
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maploop.api.content_policy import inline_scripts, page_policy

STATIC = Path(__file__).parent / "static"
ASSETS = "/assets/page"
HEADER = "x-maploop-annotator"
SCRIPT = f'<script src="{ASSETS}/annotator.js"></script>'
# Files and answers of these are never the document round the pages.
NO_DOCUMENTS = ("/_stcore/", "/static/", "/media/", "/component/", "/assets/", "/api/", "/tiles/")
# A document is rewritten as a whole, so the server must neither compress it nor answer that it is unchanged.
_OF_FILES = ("accept-encoding", "if-none-match", "if-modified-since", "range")


class TabAnnotator:
    """Puts `annotator.js` into the pages' document, and the name a web socket brings into the header `HEADER`.

    The header is percent-encoded UTF-8. One that a client sends itself is dropped.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the name in a web socket's headers or the script in a document."""
        if scope["type"] == "websocket":
            await self.app(_with_name(scope), receive, send)
        elif scope["type"] == "http" and _may_be_document(scope):
            await self.app(_without_headers(scope, _OF_FILES), receive, _Rewriter(scope, receive, send).send)
        else:
            await self.app(scope, receive, send)


def _with_name(scope: Scope) -> Scope:
    asked = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=100)
    name = asked.get("annotator", [""])[0]
    changed = _without_headers(scope, (HEADER,))
    if name:
        MutableHeaders(scope=changed).append(HEADER, quote(name, safe=""))
    return changed


def _may_be_document(scope: Scope) -> bool:
    return scope["method"] == "GET" and not scope["path"].startswith(NO_DOCUMENTS)


def _without_headers(scope: Scope, names: tuple[str, ...]) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() not in names]
    return {**scope, "headers": headers}


class _Rewriter:
    """Sends an answer on, with the script in it when it is an HTML document."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._to = (scope, receive, send)
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        """Take one message of the answer: those of a document are held back until it is whole."""
        if message["type"] == "http.response.start" and _is_document(message):
            self._start = message
        elif self._start is None:
            await self._to[2](message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        headers = Headers(raw=start["headers"])
        kept = {
            name: value for name, value in headers.items() if name not in ("content-length", "etag", "last-modified")
        }
        kept["content-security-policy"] = page_policy(inline_scripts(self._body.decode(errors="replace")))
        content = bytes(self._body).replace(b"<head>", b"<head>" + SCRIPT.encode(), 1)
        await Response(content, start["status"], headers=kept)(*self._to)


def _is_document(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers
