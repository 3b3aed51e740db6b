"""A training on this machine is carried out by a process of its own, whatever becomes of it or of the app's."""

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import select

from bench.kill_run import wait_until
from db.models import TuningJob
from maploop.database import Database
from maploop.dataset.datasets import freeze
from maploop.work import trainings
from maploop.work.foreman import Foreman
from tests.tune.ground import Ground, lay_ground, models_of, only_job, put_on_disk


@pytest.fixture
def ground(sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """A training that waits for the foreman, on pixels that another process can read."""
    monkeypatch.setenv("MAPLOOP_DATA", str(tmp_path))
    ground = lay_ground(sqlite_database)
    put_on_disk(ground, tmp_path)
    dataset = freeze(ground.database, ground.project, annotator="anna")
    trainings.begin_local(ground.database, ground.project, dataset, None, name="mine", annotator="anna")
    return ground


@pytest.fixture
def foreman(ground: Ground) -> Foreman:
    """The app's foreman, who is at work."""
    foreman = Foreman(ground.database, (lambda each: trainings.waiting_trainings(each, apart=True),))
    foreman.start()
    return foreman


def worker_of(ground: Ground) -> int | None:
    """The process that is at work on the training."""
    with ground.database.read() as connection:
        worker = connection.execute(select(TuningJob.worker)).scalar_one()
    return int(worker.rsplit(":", 2)[1]) if worker else None


def awaited_worker(ground: Ground) -> int:
    """Wait until the training is in the hands of another process -> which."""
    wait_until(lambda: worker_of(ground) is not None)
    process = worker_of(ground)
    assert process is not None
    assert process != os.getpid()
    return process


def test_it_makes_the_model_and_says_how_far_it_is(ground: Ground, foreman: Foreman) -> None:
    key = trainings.training_key(only_job(ground).id)
    wait_until(lambda: foreman.watch(key) is not None)
    watch = foreman.watch(key)
    assert watch is not None
    wait_until(lambda: foreman.watch(key) is None)
    assert (watch.share, watch.text) == (1.0, "Keeping the model")
    assert (only_job(ground).status, only_job(ground).model) == ("succeeded", "mine")
    assert models_of(ground) == ["mine"]


def test_one_that_was_killed_says_so_and_is_not_begun_again_by_itself(ground: Ground, foreman: Foreman) -> None:
    os.kill(awaited_worker(ground), signal.SIGKILL)
    wait_until(lambda: only_job(ground).status == "failed")
    job = only_job(ground)
    killed = f"The process of training {job.id} was killed (signal 9), as happens where memory runs out"
    assert job.error == f"{killed}: resume the training."
    assert (job.can_resume, job.doing, trainings.waiting_trainings(ground.database)) == (True, "Given up", [])
    trainings.resume(ground.database, ground.project, job.id)
    foreman.wake()
    wait_until(lambda: only_job(ground).is_over)
    assert (only_job(ground).status, models_of(ground)) == ("succeeded", ["mine"])


def test_cancelled_by_a_page_it_ends_without_a_model(ground: Ground, foreman: Foreman) -> None:
    awaited_worker(ground)
    trainings.cancel(ground.database, ground.project, only_job(ground).id, foreman)
    wait_until(lambda: only_job(ground).is_over)
    assert (only_job(ground).status, models_of(ground)) == ("cancelled", [])


def test_told_to_end_it_leaves_the_training_to_the_next(ground: Ground, foreman: Foreman) -> None:
    first = awaited_worker(ground)
    os.kill(first, signal.SIGTERM)
    wait_until(lambda: worker_of(ground) not in (first, None))
    wait_until(lambda: only_job(ground).is_over)
    assert (only_job(ground).status, models_of(ground)) == ("succeeded", ["mine"])
