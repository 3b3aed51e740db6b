"""The foreman's threads: one heavy task at a time, light ones beside it, a failed one stops nobody."""

import threading
from dataclasses import dataclass, field

import pytest

from maploop.database import Database
from maploop.errors import ConflictError
from maploop.work.foreman import Foreman, Key, Lane, Watch

SECONDS = 10  # for what should be at once


@dataclass
class Waiting:
    """A task that is at work until it is let go."""

    number: int
    lane: Lane = "heavy"
    error: Exception | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    over: bool = False

    @property
    def key(self) -> Key:
        return ("waiting", self.number)

    def carry_out(self, watch: Watch) -> None:
        self.begun.set()
        while not watch.cancelled() and not self.let_go.wait(0.01):
            pass
        self.over = True
        if self.error:
            raise self.error


@pytest.fixture
def tasks() -> list[Waiting]:
    """What there is to do: a test adds to it."""
    return []


@pytest.fixture
def foreman(sqlite_database: Database, tasks: list[Waiting]) -> Foreman:
    """Somebody who looks for work by himself."""
    foreman = Foreman(sqlite_database, (lambda _: [each for each in tasks if not each.over],))
    foreman.start()
    return foreman


def test_heavy_tasks_are_done_one_after_another_and_light_ones_beside_them(
    foreman: Foreman, tasks: list[Waiting]
) -> None:
    first, second, light = Waiting(1), Waiting(2), Waiting(3, lane="asking")
    tasks += [first, second, light]
    foreman.wake()
    assert first.begun.wait(SECONDS)
    assert light.begun.wait(SECONDS)
    assert not second.begun.is_set()
    first.let_go.set()
    assert second.begun.wait(SECONDS)
    second.let_go.set()
    light.let_go.set()


@pytest.mark.parametrize("error", [ConflictError("Somebody else has it."), ZeroDivisionError()])
def test_a_task_that_fails_stops_nobody(foreman: Foreman, tasks: list[Waiting], error: Exception) -> None:
    failing, second = Waiting(1, error=error), Waiting(2)
    failing.let_go.set()
    second.let_go.set()
    tasks += [failing, second]
    foreman.wake()
    assert second.begun.wait(SECONDS)


def test_a_task_hears_that_it_is_cancelled(foreman: Foreman, tasks: list[Waiting]) -> None:
    first, second = Waiting(1), Waiting(2)
    tasks += [first, second]
    foreman.wake()
    assert first.begun.wait(SECONDS)
    foreman.cancel(first.key)
    assert second.begun.wait(SECONDS)
    second.let_go.set()


def test_how_long_it_takes_is_told_from_the_pace_so_far() -> None:
    watch = Watch(("run", 1))
    assert watch.seconds_left is None
    watch.hear(0.5)
    watch.begun -= 10
    assert watch.seconds_left is None
    watch.hear(0.75)
    assert watch.seconds_left == pytest.approx(10, abs=0.5)
