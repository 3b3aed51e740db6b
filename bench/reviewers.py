"""Reviewers without a browser: each takes tiles and stores decisions through the app's own routes, as the deck does."""

import http.client
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.review.ground import act, decision


@dataclass
class Reviewer:
    """One client with one connection; remembers what it was told is on disk, and how long that took."""

    port: int
    token: str
    acknowledged: list[str] = field(default_factory=list)
    tiles: list[str] = field(default_factory=list)
    decision_seconds: list[float] = field(default_factory=list)
    open_seconds: list[float] = field(default_factory=list)
    unsent: list[dict[str, Any]] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None

    def post(self, path: str, message: dict[str, Any]) -> dict[str, Any]:
        """One request on the kept connection. Raises OSError or HTTPException when the server is gone."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            self._connection.request("POST", path, orjson.dumps(message), headers)
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise
        if answer.status != 200:
            msg = f"{path} answered {answer.status}: {body[:200]!r}"
            raise RuntimeError(msg)
        return orjson.loads(body)  # type: ignore[no-any-return]

    def send(self, entry: dict[str, Any]) -> None:
        """Put an entry into the outbox and send all that is in it, as the deck does after a failure."""
        self.unsent.append(entry)
        started = time.perf_counter()
        answer = self.post("/api/review/outbox", {"entries": self.unsent})
        self.decision_seconds.append(time.perf_counter() - started)
        self.acknowledged += answer["stored"]
        self.unsent = []

    def review_tile(self) -> bool:
        """Take the next tile, accept every feature, say it is complete; False when there is nothing left."""
        started = time.perf_counter()
        deck = self.post("/api/review/open", {"order": "random"})["deck"]
        self.open_seconds.append(time.perf_counter() - started)
        if deck is None:
            return False
        address = deck["tile"]["address"]
        self.tiles.append(address)
        for feature in deck["features"]:
            if feature["verdict"] is None:
                self.send(decision(address, feature["id"], "accept"))
        self.send(act(address, "complete"))
        return True
