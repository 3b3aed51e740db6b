"""A run is carried out by a process of its own, whatever becomes of the app's."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bench.kill_run import CONCURRENCY, KEY_NAME, prepare, wait_until
from db.models import Run
from maploop.database import Database
from maploop.errors import ConflictError
from maploop.predict.choosing import TileChoice
from maploop.predict.models import load_model
from maploop.project import ProjectView
from maploop.settings import hand_down_secrets
from maploop.work import runs
from maploop.work.foreman import Foreman, Watch
from maploop.work.messenger import Errand
from tests.predict.ground import only_run
from tests.vendor import KEY, Vendor

TILES = 20


@pytest.fixture
def held() -> threading.Event:
    """The server answers once this is set."""
    return threading.Event()


@pytest.fixture
def vendor(held: threading.Event) -> Iterator[Vendor]:
    """A server that waits before it answers."""
    with Vendor() as vendor:
        vendor.held = held
        yield vendor
        held.set()


@pytest.fixture
def town(tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Database, ProjectView]]:
    """A project with a run that waits for the foreman; the key is among the secrets that the app was started with."""
    monkeypatch.delenv(KEY_NAME, raising=False)
    monkeypatch.setenv("MAPLOOP_DATA", str(tmp_path))
    hand_down_secrets({KEY_NAME: KEY})
    database, project = prepare(tmp_path, vendor.url, TILES)
    yield database, project
    hand_down_secrets({})


@pytest.fixture
def foreman(town: tuple[Database, ProjectView], vendor: Vendor) -> Foreman:
    """The app's foreman at work on the run, all that may be asked at once being asked."""
    foreman = Foreman(town[0], (lambda each: runs.waiting_runs(each, apart=True),))
    foreman.start()
    wait_until(lambda: vendor.in_flight == CONCURRENCY)
    return foreman


def messenger_of(database: Database) -> int:
    """The process that is at work on the only run."""
    with database.read() as connection:
        worker = connection.execute(select(Run.worker)).scalar_one()
    return int(worker.rsplit(":", 2)[1])


def test_it_does_the_run(
    town: tuple[Database, ProjectView], foreman: Foreman, vendor: Vendor, held: threading.Event
) -> None:
    run_id = only_run(*town).id
    assert messenger_of(town[0]) != os.getpid()
    watch = foreman.watch(runs.run_key(run_id))
    assert watch is not None
    held.set()
    wait_until(lambda: foreman.watch(runs.run_key(run_id)) is None)
    run = only_run(*town)
    assert (run.status, run.done, watch.share) == ("finished", TILES, 1.0)
    assert set(vendor.bill.times().values()) == {1}


def test_what_is_on_its_way_when_the_run_is_cancelled_is_stored(
    town: tuple[Database, ProjectView], foreman: Foreman, vendor: Vendor, held: threading.Event
) -> None:
    run_id = only_run(*town).id
    runs.cancel(*town, run_id, foreman)
    assert only_run(*town).status == "stopping"
    with town[0].read() as connection:
        eyes = load_model(connection, town[1], "eyes")
    assert runs.begin(*town, eyes, TileChoice("all")).run_id is None  # any of its tiles may be asked about right now
    held.set()
    wait_until(lambda: foreman.watch(runs.run_key(run_id)) is None)
    run = only_run(*town)
    assert (run.status, run.done) == ("cancelled", len(vendor.bill.charges))
    assert CONCURRENCY <= run.done < TILES
    assert runs.waiting_runs(town[0]) == []


def test_told_to_end_it_puts_the_run_down_for_the_next(
    town: tuple[Database, ProjectView], foreman: Foreman, vendor: Vendor, held: threading.Event
) -> None:
    first = messenger_of(town[0])
    os.kill(first, signal.SIGTERM)
    held.set()
    wait_until(lambda: only_run(*town).status == "finished")
    assert only_run(*town).done == TILES
    assert vendor.bill.twice() == {}


def test_one_that_was_killed_leaves_a_run_that_says_so_and_is_not_begun_again_by_itself(
    town: tuple[Database, ProjectView], foreman: Foreman, vendor: Vendor
) -> None:
    os.kill(messenger_of(town[0]), signal.SIGKILL)
    wait_until(lambda: only_run(*town).status == "failed")
    run = only_run(*town)
    assert (
        run.error
        == f"The process of run {run.id} was killed (signal 9), as happens where memory runs out: resume the run."
    )
    assert (run.can_resume, runs.waiting_runs(town[0])) == (True, [])


def test_one_that_ends_before_it_heard_what_to_do_is_told_of_in_the_same_words(
    town: tuple[Database, ProjectView], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Errand.to_line

    def when_it_has_ended(errand: Errand) -> bytes:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        return line(errand)

    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(Errand, "to_line", when_it_has_ended)
    (task,) = runs.waiting_runs(town[0], apart=True)
    with pytest.raises(ConflictError):
        task.carry_out(Watch(task.key))
    run = only_run(*town)
    assert (run.status, run.can_resume) == ("failed", True)
    assert run.error == f"The process of run {run.id} ended before its time (code 1): resume the run."


def test_an_errand_does_not_show_its_secrets() -> None:
    errand = Errand("postgresql://anna:hunter2@host/maps", "run", 1, 2, {KEY_NAME: KEY})
    assert Errand.of_line(errand.to_line()) == errand
    assert "hunter2" not in repr(errand)
    assert KEY not in repr(errand)
