"""Uploads go to disk as they arrive; Streamlit holds a receipt, which nobody can forge."""

import os
import time
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from maploop.access import seal_receipt
from maploop.api.uploads import BEGINNING, KEPT_SECONDS, UploadsToDisk, place_upload, stored_upload, uploads_folder
from maploop.errors import InputError

CONTENT = bytes(range(256)) * 20_000  # 5 MB, with everything that may stand in a file
MOST = 6_000_000


async def _streamlit(request: Request) -> Response:
    """Answers with what Streamlit would keep in memory."""
    if request.path_params["session"] == "unknown":
        return Response(status_code=400)
    if request.method == "DELETE":
        return Response(status_code=204)
    form = await request.form()
    file = next(iter(form.values()))
    assert not isinstance(file, str)
    return Response(await file.read(), headers={"X-Name": str(file.filename), "X-Type": str(file.content_type)})


@pytest.fixture
def client() -> TestClient:
    """The route behind the middleware."""
    route = Route("/_stcore/upload_file/{session}/{file}", _streamlit, methods=["PUT", "DELETE"])
    return TestClient(Starlette(routes=[route], middleware=[Middleware(UploadsToDisk, most_bytes=lambda: MOST)]))


def put(client: TestClient, content: bytes, session: str = "mine", file: str = "1") -> bytes:
    """Upload as the browser does -> what Streamlit was given; empty when it was refused."""
    files = {"file": ("a roof.tif", content, "image/tiff")}
    answer = client.put(f"/_stcore/upload_file/{session}/{file}", files=files)
    if answer.is_success:
        assert (answer.headers["x-name"], answer.headers["x-type"]) == ("a roof.tif", "image/tiff")
    return answer.content if answer.is_success else b""


def lying() -> list[Path]:
    return list(uploads_folder().glob("*"))


def test_an_upload_lies_on_disk_whole_and_streamlit_holds_a_receipt(client: TestClient, tmp_path: Path) -> None:
    receipt = put(client, CONTENT)
    assert len(receipt) < 200
    stored = stored_upload(memoryview(receipt))
    assert stored is not None
    assert stored.read_bytes() == CONTENT
    assert stored.stat().st_mode & 0o077 == 0
    place_upload(receipt, tmp_path / "placed.tif")
    assert (tmp_path / "placed.tif").read_bytes() == CONTENT
    assert client.delete("/_stcore/upload_file/mine/1").status_code == 204
    assert lying() == []
    with pytest.raises(InputError, match="choose it again"):
        place_upload(receipt, tmp_path / "again.tif")


def test_what_is_too_large_broken_or_of_nobody_leaves_nothing(client: TestClient) -> None:
    assert put(client, bytes(MOST + 1)) == b""
    assert put(client, CONTENT, session="unknown") == b""
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x\r\n", b"--x\r\nContent-Disposition: form-data; name=f\r\n\r\nhalf", b"no form"):
        answer = client.put("/_stcore/upload_file/mine/1", content=body, headers=headers)
        assert answer.status_code == 400
    assert lying() == []


def test_a_file_that_looks_like_a_receipt_is_a_file(client: TestClient, tmp_path: Path) -> None:
    for content in (BEGINNING, BEGINNING + b"../maploop.sqlite", BEGINNING + b"a.b.c", b""):
        assert stored_upload(content) is None
        place_upload(content, tmp_path / "placed")
        assert (tmp_path / "placed").read_bytes() == content
    receipt = put(client, BEGINNING + seal_receipt("other").encode())
    stored = stored_upload(receipt)
    assert stored is not None
    assert stored.read_bytes().startswith(BEGINNING)


def test_uploads_of_pages_long_gone_are_deleted(client: TestClient) -> None:
    put(client, b"old")
    (old,) = lying()
    long_ago = time.time() - KEPT_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    put(client, b"new", file="2")
    assert [path.read_bytes() for path in lying()] == [b"new"]
