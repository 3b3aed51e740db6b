"""`/v1/files`: uploads kept on disk, listed, read and deleted."""

import shutil
from typing import Final

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from tests.vendor.state import State
from tests.vendor.wire import Json, RefusedError, one_of, page

PURPOSES: Final = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_MOST_BYTES = 512_000_000
_FIELDS = {"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"}


def keep_file(state: State, content: bytes, name: str, purpose: str) -> str:
    """A file of the vendor's own making, such as the output of a batch -> its id."""
    file_id = state.clock.new_id("file-")
    state.path_of(file_id).write_bytes(content)
    _record(state, file_id, name, purpose)
    return file_id


def file_of(state: State, file_id: str) -> Json:
    """A file's record. Raises RefusedError when there is none."""
    if file_id not in state.files:
        raise RefusedError(404, f"No such File object: {file_id}", param="id")
    return state.files[file_id]


def _record(state: State, file_id: str, name: str, purpose: str) -> Json:
    state.files[file_id] = {
        "id": file_id,
        "object": "file",
        "bytes": state.path_of(file_id).stat().st_size,
        "created_at": state.clock.now(),
        "expires_at": None,
        "filename": name,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
    }
    return state.files[file_id]


async def upload(request: Request) -> Response:
    """POST /v1/files"""
    state: State = request.app.state.vendor
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RefusedError(400, "Invalid Content-Type header: expected multipart/form-data.")
    async with request.form() as form:
        for name in form:
            if name not in _FIELDS:
                raise RefusedError(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
        file, purpose = form.get("file"), form.get("purpose")
        if not isinstance(file, UploadFile) or not file.filename:
            raise RefusedError(400, "'file' is a required property", param="file")
        if not isinstance(purpose, str):
            raise RefusedError(400, "'purpose' is a required property", param="purpose")
        one_of(purpose, PURPOSES, "purpose")
        if purpose in ("batch", "fine-tune") and not file.filename.endswith(".jsonl"):
            raise RefusedError(400, f"Invalid file format for {purpose}: must be .jsonl.", param="file")
        most = {"batch": state.limits.batch_bytes, "fine-tune": state.limits.training_bytes}.get(purpose, _MOST_BYTES)
        if (file.size or 0) > most:
            raise RefusedError(413, f"File is too large: at most {most} bytes.", code="file_too_large", param="file")
        if not file.size:
            raise RefusedError(400, "File is empty.", code="empty_file", param="file")
        file_id = state.clock.new_id("file-")
        with state.path_of(file_id).open("wb") as kept:
            shutil.copyfileobj(file.file, kept)
        with state.lock:
            return JSONResponse(_record(state, file_id, file.filename, purpose))


async def list_all(request: Request) -> Response:
    """GET /v1/files"""
    state: State = request.app.state.vendor
    with state.lock:
        rows = list(state.files.values())
        if "purpose" in request.query_params:
            rows = [row for row in rows if row["purpose"] == request.query_params["purpose"]]
        return JSONResponse(page(rows, request.query_params, {"purpose", "order"}, default=10_000, most=10_000))


async def retrieve(request: Request) -> Response:
    """GET /v1/files/{id}"""
    state: State = request.app.state.vendor
    with state.lock:
        return JSONResponse(file_of(state, request.path_params["id"]))


async def content(request: Request) -> Response:
    """GET /v1/files/{id}/content"""
    state: State = request.app.state.vendor
    with state.lock:
        row = file_of(state, request.path_params["id"])
    return FileResponse(state.path_of(row["id"]), media_type="application/octet-stream")


async def delete(request: Request) -> Response:
    """DELETE /v1/files/{id}"""
    state: State = request.app.state.vendor
    with state.lock:
        row = file_of(state, request.path_params["id"])
        del state.files[row["id"]]
        state.path_of(row["id"]).unlink()
    return JSONResponse({"id": row["id"], "object": "file", "deleted": True})
