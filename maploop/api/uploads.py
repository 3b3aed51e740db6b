"""Files uploaded through the pages, streamed to disk: ASGI middleware in front of Streamlit's own route.

Streamlit keeps an upload in memory for as long as the page holds it. Here its bytes go to a file in the data folder as
they arrive, and Streamlit gets a signed receipt in their place, which `stored_upload` turns into the file again.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maploop.access import open_receipt, seal_receipt
from maploop.errors import InputError
from maploop.settings import get_settings

ROUTE = "/_stcore/upload_file/"
BEGINNING = b"maploop-upload:"
KEPT_SECONDS = 86_400  # a page that holds an upload longer has to be given it again
WRITE_BYTES = 1 << 20
MAX_HEADER_BYTES = 16_384


class UploadsToDisk:
    """Streams what is uploaded to the folder of uploads; `most_bytes` gives how large a file may be."""

    def __init__(self, app: ASGIApp, most_bytes: Callable[[], int]) -> None:
        self.app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take an upload in, let one go, or pass the request on."""
        if scope["type"] != "http" or not scope["path"].startswith(ROUTE):
            await self.app(scope, receive, send)
            return
        target = uploads_folder() / hashlib.sha256(scope["path"].encode()).hexdigest()[:32]
        if scope["method"] == "DELETE":
            target.unlink(missing_ok=True)
        kind, options = parse_options_header(Headers(scope=scope).get("content-type", ""))
        if scope["method"] != "PUT" or kind != b"multipart/form-data" or b"boundary" not in options:
            await self.app(scope, receive, send)
            return
        await run_in_threadpool(prune_uploads)
        part = _Part(options[b"boundary"], target.with_suffix(".part"), self._most_bytes())
        try:
            refusal = await part.take(Request(scope, receive))
            if refusal is not None:
                await PlainTextResponse(refusal[1], refusal[0])(scope, receive, send)
                return
            part.path.replace(target)
        finally:
            part.close()
        await self._hand_on(scope, part.receipt_of(target.name), target, send)

    async def _hand_on(self, scope: Scope, body: bytes, target: Path, send: Send) -> None:
        """Give Streamlit the receipt; what it does not take is not kept."""
        changed = {**scope, "headers": list(scope["headers"])}
        headers = MutableHeaders(scope=changed)
        headers["content-length"] = str(len(body))
        del headers["transfer-encoding"]

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 300:
                target.unlink(missing_ok=True)
            await send(message)

        await self.app(changed, receive, watched)


class _Part:
    """The one file of an upload's form, on its way to disk."""

    def __init__(self, boundary: bytes, path: Path, most_bytes: int) -> None:
        self.path = path
        self._boundary = boundary
        self._most_bytes = most_bytes
        self._head = bytearray()
        self._waiting = bytearray()
        self._size = 0
        self._parts = 0
        self._is_whole = False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")

    async def take(self, request: Request) -> tuple[int, str] | None:
        """Write the file as it arrives -> status and words when that cannot be."""
        parser = MultipartParser(
            self._boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header(data[start:end]),
                "on_header_value": lambda data, start, end: self._header(b": " + data[start:end]),
                "on_header_end": lambda: self._header(b"\r\n"),
                "on_part_data": lambda data, start, end: self._data(data[start:end]),
                "on_end": self._end,
            },
        )
        try:
            async for chunk in request.stream():
                parser.write(chunk)
                if self._size > self._most_bytes:
                    return 413, f"The file is larger than {self._most_bytes:,} bytes: give its path on this machine."
                if len(self._waiting) >= WRITE_BYTES:
                    await self._flush()
            await self._flush()
        except (FormParserError, ValueError):
            return 400, "The upload is not a form with one file."
        except ClientDisconnect:
            return 400, "The upload broke off."
        except OSError as error:
            return 507, f"The upload cannot be kept ({error.strerror}): make room in the data folder."
        return None if self._is_whole and self._parts == 1 else (400, "The upload is not a form with one file.")

    def receipt_of(self, name: str) -> bytes:
        """The form anew, with a receipt where the file was."""
        content = BEGINNING + seal_receipt(name).encode()
        edge = b"--" + self._boundary
        return edge + b"\r\n" + bytes(self._head) + b"\r\n" + content + b"\r\n" + edge + b"--\r\n"

    def close(self) -> None:
        """Leave nothing half written."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    async def _flush(self) -> None:
        content, self._waiting = bytes(self._waiting), bytearray()
        await run_in_threadpool(self._file.write, content)
        await run_in_threadpool(self._file.flush)

    def _begin(self) -> None:
        self._parts += 1

    def _end(self) -> None:
        self._is_whole = True

    def _header(self, data: bytes) -> None:
        self._head += data
        if len(self._head) > MAX_HEADER_BYTES:
            msg = "The headers are too long."
            raise ValueError(msg)

    def _data(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._most_bytes:
            self._waiting += data


def uploads_folder() -> Path:
    """Where uploads lie until they are imported."""
    return get_settings().data_folder / "uploads"


def prune_uploads() -> None:
    """Delete uploads of pages that are long gone."""
    oldest = time.time() - KEPT_SECONDS
    for path in uploads_folder().glob("*"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except OSError:  # another request was faster
            continue


def stored_upload(content: bytes | memoryview) -> Path | None:
    """The file that a receipt stands for; None for content that is no receipt of this installation."""
    beginning = bytes(content[: len(BEGINNING)])
    name = open_receipt(bytes(content[len(BEGINNING) : 1024])) if beginning == BEGINNING else None
    return uploads_folder() / name if name else None


def place_upload(content: bytes | memoryview, target: Path) -> None:
    """Put an upload where it is to be read from, without copying where the file system can link.

    Raises InputError when the upload was let go in the meantime.
    """
    stored = stored_upload(content)
    if stored is None:
        target.write_bytes(content)
        return
    try:
        target.hardlink_to(stored)
    except FileNotFoundError:
        msg = "The uploaded file is gone, it is kept for a day: choose it again."
        raise InputError(msg) from None
    except OSError:
        shutil.copyfile(stored, target)
