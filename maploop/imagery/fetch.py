"""Bounded HTTP for tiles and capabilities: time-outs, retries with back-off, size limits, errors in plain words."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from maploop.errors import ImageryError, ImageryReason

MAX_BYTES = 16_000_000
MAX_REDIRECTS = 3
MAX_PAUSE = 5.0  # seconds; a server that wants longer pauses is out of order for now
USER_AGENT = "Maploop/0.1 (map review)"
PASSING = {429, 502, 503, 504}
REASONS: dict[int, ImageryReason] = {401: "refused", 403: "refused", 407: "refused", 429: "busy"}
REMEDIES = {
    400: "it does not take the request: check the URL, the zoom and the bounds",
    401: "it wants a login: put the access key into the URL",
    403: "it refuses: check the access key and the terms of use",
    404: "there is nothing at that address: check the URL",
    429: "it is asked too often: wait, or use another server",
}


@dataclass(frozen=True)
class Answer:
    """What a server sent: its status, content type (lower case, without parameters) and body."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Limits:
    """How long and how often a server is asked."""

    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    total_seconds: float = 60.0
    attempts: int = 3
    first_pause: float = 0.3  # seconds before the second attempt; doubled each time


class Fetcher:
    """GET with limits; one a source, safe to use from many threads."""

    def __init__(self, limits: Limits | None = None, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._limits = limits or Limits()
        self._pause = pause
        self._client = httpx.Client(
            timeout=httpx.Timeout(self._limits.read_seconds, connect=self._limits.connect_seconds),
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"User-Agent": USER_AGENT},
        )

    def get(self, url: str, *, empty: frozenset[int] = frozenset()) -> Answer:
        """The answer to a GET: a 2xx, or a status in `empty`. Raises ImageryError for everything else.

        Time-outs, broken connections and statuses that pass (429, 502, 503, 504) are tried again, at most
        `Limits.attempts` times in all.
        """
        problem, wanted = "", 0.0
        reason: ImageryReason = "failed"
        status: int | None = None
        for attempt in range(self._limits.attempts):
            if attempt:
                self._pause(min(max(self._limits.first_pause * 2 ** (attempt - 1), wanted), MAX_PAUSE))
            try:
                answer, wanted = self._once(url)
            except httpx.TimeoutException:
                problem, reason, status = "it did not answer in time: try again later", "unreachable", None
                continue
            except httpx.TransportError as error:
                if isinstance(error, httpx.UnsupportedProtocol):
                    raise _error(url, "it leads to an address that is not http or https: check the URL") from error
                problem = f"{str(error)[:120] or type(error).__name__}: check the address and the network"
                reason, status = "unreachable", None
                continue
            except (httpx.TooManyRedirects, httpx.InvalidURL, httpx.DecodingError) as error:
                raise _error(url, f"{str(error)[:120]}: check the URL") from error
            if 200 <= answer.status < 300 or answer.status in empty:
                return answer
            status, reason = answer.status, REASONS.get(answer.status, "failed")
            problem = f"status {answer.status}, {REMEDIES.get(answer.status, 'the server failed: try again later')}"
            if answer.status not in PASSING:
                break
        raise _error(url, problem, reason, status)

    def _once(self, url: str) -> tuple[Answer, float]:
        deadline = time.monotonic() + self._limits.total_seconds
        with self._client.stream("GET", url) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise _error(url, f"it sent more than {MAX_BYTES // 1_000_000} MB: check the URL")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("too slow")
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            after = response.headers.get("retry-after", "")
            return Answer(response.status_code, kind, bytes(body)), float(after) if after.isdigit() else 0.0


def public_name(url: str) -> str:
    """The address without its query and login, where keys live: fit for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_address(url: str) -> None:
    """Raises ImageryError unless it is http or https with a host."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        msg = f"{public_name(url) if '[' not in url else url!r} is not an http or https address: check the URL."
        raise ImageryError(msg)


def _error(url: str, problem: str, reason: ImageryReason = "failed", status: int | None = None) -> ImageryError:
    return ImageryError(f"{public_name(url)!r} gave no imagery: {problem}.", reason=reason, status=status)
