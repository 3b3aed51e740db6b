"""What goes wrong, by plan: each fault at a request, a picture, a custom_id or a route, or at a seeded rate."""

import fnmatch
import hashlib
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Transport = Literal["respond", "hang", "hang_after", "reset", "reset_after", "half"]


@dataclass(frozen=True)
class Reply:
    """What the model says, and why it stopped."""

    content: str | None
    refusal: str | None = None
    finish_reason: Literal["stop", "length", "content_filter"] = "stop"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    transport   respond: the server answers; hang: not until the client goes away; reset: the connection is cut before
                anything is done; hang_after, reset_after: the same when all is done and billed; half: it is cut in the
                body
    status      above 0: the server answers with this error, and bills nothing
    retry_after the header of that name
    change      what becomes of the answer, which is billed
    """

    name: str
    transport: Transport = "respond"
    status: int = 0
    retry_after: str | None = None
    change: Callable[[Reply], Reply] | None = None

    def __str__(self) -> str:
        return self.name


def rate_limit(retry_after: str | None = "1") -> Fault:
    """429, to be tried again after so many seconds."""
    return Fault("rate_limit", status=429, retry_after=retry_after)


def server_error(status: int = 500) -> Fault:
    """500, or another status."""
    return Fault(f"server_error_{status}", status=status)


HANG = Fault("hang", transport="hang")
HANG_AFTER = Fault("hang_after", transport="hang_after")
RESET = Fault("reset", transport="reset")
RESET_AFTER = Fault("reset_after", transport="reset_after")
HALF = Fault("half", transport="half")


def _cut(reply: Reply) -> Reply:
    text = reply.content or ""
    return Reply(text[: len(text) // 2], finish_reason="length")


def _bent(change: Callable[[list[list[int]]], list[list[int]]]) -> Callable[[Reply], Reply]:
    """Changes the points of the first feature; a made-up one where there is none."""

    def apply(reply: Reply) -> Reply:
        try:
            answer: dict[str, Any] = json.loads(reply.content or "")
        except json.JSONDecodeError:
            answer = {"features": []}
        if not answer.get("features"):
            square = [[100, 100], [300, 100], [300, 300], [100, 300]]
            answer = {"features": [{"class": "building", "geometry": "polygon", "points": square, "holes": []}]}
        answer["features"][0]["points"] = change(answer["features"][0]["points"])
        return Reply(json.dumps(answer))

    return apply


TRUNCATED = Fault("truncated", change=_cut)
REFUSAL = Fault("refusal", change=lambda _: Reply(None, refusal="I can't help with identifying that."))
CONTENT_FILTER = Fault("content_filter", change=lambda _: Reply("", finish_reason="content_filter"))
NONSENSE = Fault("nonsense", change=lambda _: Reply("Sure! I can see three lovely roofs <b>here</b>."))
EMPTY = Fault("empty", change=lambda _: Reply(""))
OUT_OF_RANGE = Fault("out_of_range", change=_bent(lambda points: [[points[0][0] + 70_000, points[0][1]], *points[1:]]))
SELF_INTERSECTING = Fault(
    "self_intersecting", change=_bent(lambda points: [points[0], *points[2:3], *points[1:2], *points[3:]])
)


def says(text: str) -> Fault:
    """The model answers this text."""
    return Fault("says", change=lambda _: Reply(text))


@dataclass
class _Planned:
    fault: Fault
    route: str = "*"
    number: int | None = None
    picture: str | None = None
    custom_id: str | None = None
    times: int | None = 1


class Faults:
    """The plan. Each rule is used `times` often (None: always); the first rule that fits is used."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []
        self._numbers: dict[str, itertools.count[int]] = {}
        self._rates: list[tuple[float, Sequence[Fault], int]] = []
        self._attempts: Counter[str] = Counter()
        self._lock = threading.RLock()
        self.used: list[Fault] = []

    def on_request(self, number: int, fault: Fault, route: str = "POST /v1/chat/completions") -> None:
        """At the n-th request (from 1) to a route since the server began."""
        self._plan(_Planned(fault, route=route, number=number))

    def on_route(self, route: str, fault: Fault, times: int | None = 1) -> None:
        """At the next requests to a route such as `POST /v1/batches` or `GET /v1/files/*`."""
        self._plan(_Planned(fault, route=route, times=times))

    def on_picture(self, picture: str, fault: Fault, times: int | None = 1) -> None:
        """Whenever the last picture of a question has this hash (`picture_hash`), in a batch too."""
        self._plan(_Planned(fault, picture=picture, times=times))

    def on_custom_id(self, custom_id: str, fault: Fault, times: int | None = 1) -> None:
        """At a request of a batch; the id may be a pattern such as `*-7`."""
        self._plan(_Planned(fault, custom_id=custom_id, times=times))

    def at_rate(self, rate: float, faults: Sequence[Fault], seed: int = 0) -> None:
        """At a share of questions, drawn from seed, picture and attempt: the same whatever comes first."""
        with self._lock:
            self._rates.append((rate, list(faults), seed))

    def clear(self) -> None:
        """From now on all goes well."""
        with self._lock:
            self._planned.clear()
            self._rates.clear()

    def _plan(self, planned: _Planned) -> None:
        with self._lock:
            self._planned.append(planned)

    def for_route(self, route: str) -> Fault | None:
        """What goes wrong with a request as such; counts it."""
        with self._lock:
            number = next(self._numbers.setdefault(route, itertools.count(1)))
            return self._take(
                lambda each: (
                    each.picture is None
                    and each.custom_id is None
                    and fnmatch.fnmatchcase(route, each.route)
                    and each.number in (None, number)
                )
            )

    def for_question(self, picture: str | None, custom_id: str | None = None) -> Fault | None:
        """What goes wrong with one question, asked alone or in a batch; counts the attempt."""
        with self._lock:
            found = self._take(
                lambda each: (
                    (each.picture is not None and each.picture == picture)
                    or (
                        each.custom_id is not None
                        and custom_id is not None
                        and fnmatch.fnmatchcase(custom_id, each.custom_id)
                    )
                )
            )
            key = picture or custom_id or ""
            self._attempts[key] += 1
            return found or self._drawn(key)

    def _drawn(self, key: str) -> Fault | None:
        for rate, faults, seed in self._rates:
            digest = hashlib.sha256(f"{seed}/{key}/{self._attempts[key]}".encode()).digest()
            if int.from_bytes(digest[:4]) / 2**32 < rate:
                fault = faults[int.from_bytes(digest[4:8]) % len(faults)]
                self.used.append(fault)
                return fault
        return None

    def _take(self, fits: Callable[[_Planned], bool]) -> Fault | None:
        for each in self._planned:
            if each.times != 0 and fits(each):
                if each.times is not None:
                    each.times -= 1
                self.used.append(each.fault)
                return each.fault
        return None
