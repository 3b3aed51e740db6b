"""What every route needs: refusals in the vendor's words, strict reading of bodies and queries, ids, a clock."""

import hashlib
import itertools
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

Json = dict[str, Any]
EPOCH = 1_790_000_000  # when the vendor's clock begins


class RefusedError(Exception):
    """A request that the vendor answers with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: Json = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, self.headers)


class Clock:
    """Seconds that pass by being asked for, and ids that come in order: the same in every run."""

    def __init__(self) -> None:
        self._seconds = itertools.count(EPOCH)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def now(self) -> int:
        with self._lock:
            return next(self._seconds)

    def new_id(self, prefix: str) -> str:
        with self._lock:
            number = next(self._ids)
        return f"{prefix}{hashlib.sha256(str(number).encode()).hexdigest()[:16]}{number:04d}"


def known_fields(body: Any, known: Collection[str], where: str = "") -> Json:
    """A JSON object without a field that the vendor does not know. Raises RefusedError."""
    if not isinstance(body, dict):
        raise RefusedError(400, f"Invalid type for '{where or 'body'}': expected an object.", code="invalid_type")
    for name in body:
        if name not in known:
            path = f"{where}.{name}" if where else name
            raise RefusedError(400, f"Unknown parameter: '{path}'.", code="unknown_parameter", param=path)
    return body


def required(body: Json, name: str, kind: type | tuple[type, ...], where: str = "") -> Any:
    """A field that must be there, of a type. Raises RefusedError."""
    path = f"{where}.{name}" if where else name
    if body.get(name) is None:
        raise RefusedError(400, f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path)
    return of_type(body, name, kind, where)


def of_type(body: Json, name: str, kind: type | tuple[type, ...], where: str = "") -> Any:
    """A field of a type, or None. Raises RefusedError; a boolean is no number."""
    value = body.get(name)
    path = f"{where}.{name}" if where else name
    wanted = kind if isinstance(kind, tuple) else (kind,)
    if value is not None and (not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted)):
        names = " or ".join(each.__name__ for each in wanted)
        raise RefusedError(400, f"Invalid type for '{path}': expected {names}.", code="invalid_type", param=path)
    return value


def one_of(value: Any, choices: Collection[Any], path: str) -> Any:
    """A value among those that are taken. Raises RefusedError."""
    if value not in choices:
        listed = ", ".join(repr(each) for each in choices)
        message = f"Invalid value: {value!r}. Supported values are: {listed}."
        raise RefusedError(400, message, code="invalid_value", param=path)
    return value


def checked_metadata(body: Json) -> dict[str, str]:
    """At most 16 pairs of strings: keys to 64 characters, values to 512. Raises RefusedError."""
    metadata = of_type(body, "metadata", dict) or {}
    if len(metadata) > 16:
        raise RefusedError(
            400, "'metadata' takes 16 pairs at most.", code="object_above_max_properties", param="metadata"
        )
    for key, value in metadata.items():
        if len(key) > 64 or not isinstance(value, str) or len(value) > 512:
            path = f"metadata.{key}"
            raise RefusedError(
                400, f"Invalid '{path}': a string of at most 512 characters.", code="invalid", param=path
            )
    return metadata


def page(rows: Sequence[Json], query: Mapping[str, str], known: Collection[str], *, default: int, most: int) -> Json:
    """One page of a list, newest first unless `order=asc`; rows come oldest first. Raises RefusedError."""
    for name in query:
        if name not in {"after", "limit", *known}:
            raise RefusedError(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
    try:
        limit = int(query.get("limit", default))
    except ValueError:
        limit = 0
    if not 1 <= limit <= most:
        raise RefusedError(400, f"Invalid 'limit': 1 to {most}.", code="invalid_value", param="limit")
    ordered = list(rows) if query.get("order") == "asc" else list(reversed(rows))
    start = 0
    if "after" in query:
        ids = [row["id"] for row in ordered]
        if query["after"] not in ids:
            raise RefusedError(400, f"No such 'after': {query['after']}.", code="invalid_value", param="after")
        start = ids.index(query["after"]) + 1
    shown = ordered[start : start + limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + limit < len(ordered),
    }
