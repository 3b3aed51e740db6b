"""All that the vendor knows: models, files, batches, jobs, the bill, the faults to come; and its limits and manners."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.vendor.bill import Bill
from tests.vendor.faults import Fault, Faults, Reply
from tests.vendor.wire import Clock, Json

KEY = "sk-loopback"
BASES = ("gpt-4o-2024-08-06", "gpt-4.1-2025-04-14")  # what can be tuned
CHATS = (*BASES, "gpt-4o", "gpt-4.1", "gpt-5.6-luna", "gpt-6-luna")


@dataclass(frozen=True)
class Question:
    """What a brain is asked: the body as it came, and what matters of it.

    pictures    of the whole conversation; `picture` is the hash of the last, the one that is asked about
    """

    model: str
    body: Json
    system: str
    user: str
    pictures: Sequence[bytes]
    picture: str | None
    custom_id: str | None = None


Brain = Callable[[Question], str | Reply]
School = Callable[[Sequence[Json]], Brain]  # lines of a training file -> what the tuned model answers


def nothing_there(_: Question) -> str:
    """The brain of whoever was told nothing: an empty tile."""
    return '{"features":[]}'


@dataclass
class Limits:
    """What is taken at most; tests make it small."""

    training_lines: tuple[int, int] = (10, 50_000)
    training_bytes: int = 512_000_000
    images_a_line: int = 10
    images_a_question: int = 50
    batch_requests: int = 50_000
    batch_bytes: int = 200_000_000
    enqueued_requests: int | None = None  # of all batches under way; more: the batch fails with token_limit_exceeded
    at_once: int | None = None  # chat requests; more: 429 with retry-after


@dataclass
class Manner:
    """How it differs from the vendor, to stand in for vLLM, Ollama and the like.

    token_limits    names taken for the longest answer
    usage, usage_details    False: left out of completions
    """

    needs_key: bool = True
    knows_schemas: bool = True
    knows_detail: bool = True
    token_limits: Sequence[str] = ("max_completion_tokens", "max_tokens")
    usage: bool = True
    usage_details: bool = True


@dataclass(frozen=True)
class Seen:
    """A request that came in, and how it was answered; status 0: not at all."""

    route: str
    status: int
    fault: Fault | None = None
    picture: str | None = None
    idempotency_key: str | None = None


@dataclass
class BatchPlan:
    """What a batch will meet: its own requests at a pace, expiry or an end from outside after so many of them.

    fails, at   an error code while it is validated, and the line that is at fault, if one is
    """

    pace: int | None = None
    expires_after: int | None = None
    cancelled_after: int | None = None
    fails: str | None = None
    at: int | None = None


@dataclass
class JobPlan:
    """What a tuning job will meet: failure with a code, while its files are looked at or in its training."""

    fails: str | None = None
    message: str = "The job failed due to an internal error."
    while_training: bool = True


@dataclass
class State:
    """See the package for how tests set it."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    bill: Bill = field(default_factory=Bill)
    limits: Limits = field(default_factory=Limits)
    manner: Manner = field(default_factory=Manner)
    keys: set[str] = field(default_factory=lambda: {KEY})
    models: dict[str, Json] = field(default_factory=dict)
    tunable: set[str] = field(default_factory=lambda: set(BASES))
    training_available: bool = True
    brain: Brain = nothing_there
    brains: dict[str, Brain] = field(default_factory=dict)
    school: School | None = None  # None: it learns its examples by heart
    moves_by_itself: bool = True
    files: dict[str, Json] = field(default_factory=dict)
    batches: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    batch_plans: list[BatchPlan] = field(default_factory=list)  # for the batches to come, in order
    job_plans: list[JobPlan] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    prefixes: set[tuple[str, str]] = field(default_factory=set)  # beginnings of conversations in the cache
    latency: float = 0.0  # seconds that a chat answer takes
    held: threading.Event | None = None  # chat answers wait for it
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_models(self, names: Iterable[str], *, owner: str = "system", shutdown_date: str | None = None) -> None:
        """Models that can be asked."""
        for name in names:
            self.models[name] = {
                "id": name,
                "object": "model",
                "created": self.clock.now(),
                "owned_by": owner,
                "shutdown_date": shutdown_date,
            }

    def brain_of(self, model: str) -> Brain:
        """Who answers for a model."""
        return self.brains.get(model, self.brain)

    def path_of(self, file_id: str) -> Path:
        """Where the bytes of a file are."""
        return self.folder / file_id
