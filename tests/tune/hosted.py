"""Trainings at the server of the tests: planned, confirmed, carried out, killed at a request and taken up again."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import openai

from maploop.dataset.datasets import DatasetView
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.models import ModelView, list_models
from maploop.tune.jobs import CheckpointView, EventView, JobView, job_checkpoints, job_events, load_job
from maploop.tune.plan import Hyperparameters, Preflight
from maploop.tune.preflight import preflight
from maploop.tune.work import carry_out_job, start_job
from tests.tune.ground import Ground
from tests.vendor import BASES, KEY, Vendor

TODAY = date(2026, 10, 20)
BASE = BASES[0]


class KilledError(BaseException):
    """The process is no more: nothing catches this."""


class Time:
    """Passes when somebody waits."""

    def __init__(self) -> None:
        self.now = datetime(2026, 10, 20, 12, tzinfo=UTC)
        self.waits: list[float] = []
        self.then: Callable[[], None] = lambda: None

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)
        self.then()


class Line(httpx2.BaseTransport):
    """The line to the server; the process dies at the n-th request that begins so: before it is sent, or answered."""

    def __init__(self, die_at: str | None = None, nth: int = 1, *, answered: bool = False) -> None:
        self._line = httpx2.HTTPTransport()
        self._die_at, self._left, self._answered = die_at, nth, answered
        self.requests: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        if self._die_at is not None and self.requests[-1].startswith(self._die_at):
            self._left -= 1
        dying = self._die_at is not None and self._left == 0
        if dying and not self._answered:
            raise KilledError
        response = self._line.handle_request(request)
        if dying:
            response.read()
            raise KilledError
        return response

    def close(self) -> None:
        self._line.close()


@dataclass
class Office:
    """A project with a dataset, and the server."""

    ground: Ground
    vendor: Vendor
    time: Time = field(default_factory=Time)

    def __post_init__(self) -> None:
        self.dataset: DatasetView = self.ground.freeze()

    def clients(self, **options: Any) -> Callable[[ChatParameters], openai.OpenAI]:
        """Opens the server, whatever the address."""
        return lambda _: self.vendor.client(**options)

    def plan(self, base: str = BASE, **options: Any) -> Preflight:
        """A look at a training before it."""
        given: dict[str, Any] = {
            "base_url": self.vendor.url,
            "key": "VENDOR_KEY",
            "hyperparameters": Hyperparameters(epochs=3, seed=7),
            "clients": self.clients(),
            "sources": self.ground.sources,
            "today": TODAY,
            **options,
        }
        return preflight(self.ground.database, self.ground.project, self.dataset.id, base, **given)

    def start(self, plan: Preflight | None = None, **options: Any) -> JobView:
        """A training that somebody has confirmed."""
        plan = plan or self.plan(name="tuned")
        return start_job(
            self.ground.database, self.ground.project, plan, plan.confirmation, annotator="anna", **options
        )

    def carry_out(self, job_id: int, line: Line | None = None, **options: Any) -> JobView:
        """See it through."""
        clients = self.clients(http_client=httpx2.Client(transport=line)) if line else self.clients()
        given: dict[str, Any] = {
            "sources": self.ground.sources,
            "wait": self.time.wait,
            "now": lambda: self.time.now,
            **options,
        }
        return carry_out_job(self.ground.database, self.ground.project, job_id, clients, **given)

    def job(self, job_id: int) -> JobView:
        """As it is now."""
        with self.ground.database.read() as connection:
            return load_job(connection, self.ground.project, job_id)

    def events(self, job_id: int) -> list[EventView]:
        """What happened."""
        with self.ground.database.read() as connection:
            return job_events(connection, job_id)

    def checkpoints(self, job_id: int) -> list[CheckpointView]:
        """What there is to choose from."""
        with self.ground.database.read() as connection:
            return job_checkpoints(connection, job_id)

    def models(self) -> list[ModelView]:
        """Those of the project."""
        with self.ground.database.read() as connection:
            return list_models(connection, self.ground.project)

    def bill(self) -> float:
        """What the server charged for training so far, USD, at gpt-4o's 25 for a million tokens."""
        return sum(each.training_tokens for each in self.vendor.bill.charges) * 25 / 1e6


def other(plan: Preflight) -> Preflight:
    """The same plan, of another moment."""
    return replace(plan, token="0" * 32)


__all__ = ["BASE", "KEY", "TODAY", "KilledError", "Line", "Office", "Time", "other"]
