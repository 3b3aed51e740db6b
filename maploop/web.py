"""The app's own routes beside Streamlit's pages: pixels, assets and the review map's requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from db.group import GroupWriter
from maploop.access import LIFETIME_SECONDS, Grant, issue_token, read_token
from maploop.database import open_database
from maploop.errors import (
    AccessError,
    ConflictError,
    DatabaseError,
    ImageryError,
    InputError,
    LicenceError,
    MaploopError,
    NoPixelsError,
    NotFoundError,
)
from maploop.imagery.pixel_records import record_coverage
from maploop.imagery.pixels import PixelCoverage
from maploop.imagery.serve import etag_of, tile_image
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView, load_project_by_id
from maploop.review.opening import open_tile
from maploop.review.outbox import store_outbox
from maploop.review.wire import parse_open, read_entries
from maploop.settings import get_settings
from maploop.store.health import OK, HealthCheck

MAX_BODY_BYTES = 4_000_000
TILE_MAX_AGE_SECONDS = 3600
PROJECT_SECONDS = 2
SHARE_HEADER = "X-Maploop-Pixels"
REASON_HEADER = "X-Maploop-Reason"
_STATUS = (
    (AccessError, 401),
    (LicenceError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (NoPixelsError, 404),
    (ImageryError, 502),
    (InputError, 400),
    (DatabaseError, 503),
)
ANSWER_SECONDS = 30  # an answer takes no longer: what is still waiting by then is told so, and sent again

Answer = dict[str, Any]
Handler = Callable[[Grant, bytes], "Future[Answer]"]


def routes() -> list[BaseRoute]:
    """All routes, for `st.App(routes=...)`."""
    return [
        Route("/api/health", _health, methods=["GET"]),
        Route("/api/review/open", _posted(_open), methods=["POST"]),
        Route("/api/review/outbox", _posted(_outbox), methods=["POST"]),
        Route("/api/review/token", _posted(_token), methods=["POST"]),
        Route("/tiles/{imagery:int}/{z:int}/{x:int}/{y:int}", _tile, methods=["GET"]),
        Mount("/assets/leaflet", StaticFiles(packages=[("leaflet", "static/leaflet")])),
        Mount("/assets/review", StaticFiles(directory=Path(__file__).parent / "review" / "static")),
    ]


def _json(answer: Answer, status: int = 200) -> Response:
    return Response(orjson.dumps(answer), status, media_type="application/json", headers={"Cache-Control": "no-store"})


def _failed(error: MaploopError) -> Response:
    """An error as an answer: its text for people, and for a database at fault a `code` for programs.

    busy        others are writing; the same request works in a moment
    full, read_only, damaged, gone, failing     somebody has to mend the database first
    """
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 400)
    if isinstance(error, ImageryError):
        return _without_pixels(error, status)
    code = {"code": error.kind} if isinstance(error, DatabaseError) and error.kind else {}
    return _json({"error": str(error), **code}, status)


def _without_pixels(error: ImageryError, status: int) -> Response:
    """Why no pixels come, for programs: in the body and, for those that cannot read it, in a header."""
    answer = _json({"error": str(error), "reason": error.reason, "sourceStatus": error.status}, status)
    answer.headers[REASON_HEADER] = error.reason
    return answer


def _posted(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that checks the token, bounds the body and turns Maploop's errors into answers."""

    async def endpoint(request: Request) -> Response:
        try:
            grant = read_token(request.headers.get("authorization", "").removeprefix("Bearer "))
            body = await _bounded_body(request)
            # beside the event loop, as what was drawn is checked and repaired before it waits for the database
            return _json(await _in_time(await asyncio.to_thread(handler, grant, body)))
        except MaploopError as error:
            return _failed(error)

    return endpoint


async def _in_time(future: "Future[Answer]") -> Answer:
    """What is written, once it is. Raises DatabaseError when others keep it waiting for too long."""
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_SECONDS)
    except TimeoutError as error:
        msg = "The database is busy with what others write: nothing is known to be stored yet. Try again in a moment."
        raise DatabaseError(msg, "busy") from error


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            msg = f"The request is larger than {MAX_BODY_BYTES:,} bytes: send fewer entries at once."
            raise InputError(msg)
    return bytes(body)


@lru_cache(maxsize=64)
def _project_at(url: str, project_id: int, _moment: int) -> ProjectView:
    with open_database(url).read() as connection:
        return load_project_by_id(connection, project_id)


def _project(project_id: int) -> ProjectView:
    """The project, as it was at most `PROJECT_SECONDS` ago: every decision asks for it."""
    return _project_at(get_settings().database, project_id, int(time.monotonic() / PROJECT_SECONDS))


@lru_cache(maxsize=4)
def _writer(url: str) -> GroupWriter:
    return GroupWriter(open_database(url))


def _open(grant: Grant, body: bytes) -> "Future[Answer]":
    request, project = parse_open(body), _project(grant.project_id)
    writer = _writer(get_settings().database)
    return writer.submit(lambda connection: open_tile(connection, project, grant.annotator_id, request))


def _outbox(grant: Grant, body: bytes) -> "Future[Answer]":
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        msg = "The request is not JSON."
        raise InputError(msg) from error
    entries, project = message.get("entries") if isinstance(message, dict) else None, _project(grant.project_id)
    writer = _writer(get_settings().database)
    read = read_entries(entries, project.geometry_types)
    return writer.submit(lambda connection: store_outbox(connection, project, grant.annotator_id, read))


def _token(grant: Grant, _body: bytes) -> "Future[Answer]":
    answer: Future[Answer] = Future()
    tokens = {"token": issue_token(grant), "tileToken": issue_token(grant, scope="tiles")}
    answer.set_result({**tokens, "expiresIn": LIFETIME_SECONDS})
    return answer


@lru_cache(maxsize=4)
def _health_check(url: str) -> HealthCheck:
    return HealthCheck(_writer(url))


async def _health(_request: Request) -> Response:
    """Whether decisions can be stored right now, found out by writing: for monitors, which need no token."""
    try:
        state = await run_in_threadpool(lambda: _health_check(get_settings().database).state())
    except DatabaseError as error:  # it cannot even be opened
        state = error.kind or "failing"
    return _json({"status": state}, 200 if state == OK else 503)


async def _tile(request: Request) -> Response:
    """One tile's pixels; whoever asks needs a token for the imagery's project."""
    try:
        grant = read_token(request.query_params.get("token", ""), "tiles")
        where = request.path_params
        tile = Tile(where["z"], where["x"], where["y"])
        tag = await run_in_threadpool(etag_of, grant.project_id, where["imagery"], tile)
        headers = {"Cache-Control": f"private, max-age={TILE_MAX_AGE_SECONDS}", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        record = partial(_record_pixels, get_settings().database, grant.project_id, where["imagery"], tile)
        image, media_type = await run_in_threadpool(tile_image, grant.project_id, where["imagery"], tile, record)
        headers[SHARE_HEADER] = f"{image.share:.4f}"
        return Response(image.content, media_type=media_type, headers=headers)
    except MaploopError as error:
        return _failed(error)


@lru_cache(maxsize=100_000)
def _record_pixels(
    url: str, project_id: int, imagery_id: int, tile: Tile, coverage: PixelCoverage, fingerprint: str
) -> None:
    """Keep what was seen of a tile of the working zoom; nobody waits for it, and once a process is enough."""
    project = _project(project_id)
    if tile.z == project.zoom:
        _writer(url).submit(
            lambda connection: record_coverage(connection, project.id, imagery_id, tile, coverage, fingerprint)
        )
