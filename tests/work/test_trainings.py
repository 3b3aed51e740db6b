"""Trainings in the background: done when the foreman comes, begun again after a kill, ended when nobody wants them."""

import pytest
from sqlalchemy import update

from db.models import TuningJob
from maploop.database import Database
from maploop.errors import ConflictError, MaploopError
from maploop.tune.jobs import JobView, list_jobs
from maploop.tune.local import LocalTrainer
from maploop.tune.trainer import Lesson, Trained
from maploop.tune.tuning import tune
from maploop.work import trainings
from maploop.work.foreman import Foreman
from tests.predict.ground import Killed
from tests.tune.ground import Ground, lay_ground, models_of, only_job


@pytest.fixture
def ground(sqlite_database: Database) -> Ground:
    """Two train tiles, one of validation, one of test."""
    return lay_ground(sqlite_database)


@pytest.fixture
def foreman(ground: Ground) -> Foreman:
    """Somebody who does the work when told, in the test's thread."""
    return Foreman(ground.database, (lambda each: trainings.waiting_trainings(each, ground.sources),))


def begin(ground: Ground, name: str | None = "mine") -> JobView:
    """A training from nothing."""
    dataset = ground.freeze()
    return trainings.begin_local(ground.database, ground.project, dataset, None, name=name, annotator="anna")


def test_a_training_waits_for_the_foreman_and_makes_a_model(ground: Ground, foreman: Foreman) -> None:
    assert begin(ground).status == "waiting"
    foreman.work_off()
    job = only_job(ground)
    assert (job.status, job.model, job.share, job.cost) == ("succeeded", "mine", 1.0, 0.0)
    assert models_of(ground) == ["mine"]


def test_a_training_that_was_killed_begins_again_and_makes_one_model(
    ground: Ground, foreman: Foreman, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(ground)
    train = LocalTrainer.train

    def die(_trainer: LocalTrainer, _lesson: Lesson) -> Trained:
        raise Killed

    monkeypatch.setattr(LocalTrainer, "train", die)
    with pytest.raises(Killed):
        foreman.work_off()
    with ground.database.write() as connection:  # a kill leaves the job as it stood, its worker gone
        connection.execute(update(TuningJob).values(worker="elsewhere:1:dead", beat_at=None))
    assert only_job(ground).status == "waiting"
    monkeypatch.setattr(LocalTrainer, "train", train)
    foreman.work_off()
    assert only_job(ground).status == "succeeded"
    assert models_of(ground) == ["mine"]


def test_a_cancelled_training_leaves_no_model(
    ground: Ground, foreman: Foreman, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = LocalTrainer.train

    def change_ones_mind(trainer: LocalTrainer, lesson: Lesson) -> Trained:
        trainings.cancel(ground.database, ground.project, only_job(ground).id, foreman)
        return train(trainer, lesson)

    monkeypatch.setattr(LocalTrainer, "train", change_ones_mind)
    begin(ground)
    foreman.work_off()
    assert only_job(ground).status == "cancelled"
    assert models_of(ground) == []
    with pytest.raises(ConflictError, match="is cancelled already"):
        trainings.cancel(ground.database, ground.project, only_job(ground).id, foreman)


def test_what_forbids_a_training_is_said_before_it_is_begun(sqlite_database: Database) -> None:
    barred = lay_ground(sqlite_database, may_train=False)
    with pytest.raises(MaploopError, match="forbid training"):
        begin(barred)
    with sqlite_database.read() as connection:
        assert list_jobs(connection, barred.project) == []


def test_a_training_of_the_command_line_is_left_to_it(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_trainer: LocalTrainer, _lesson: Lesson) -> Trained:
        raise Killed

    monkeypatch.setattr(LocalTrainer, "train", die)
    with pytest.raises(Killed):
        tune(ground.database, ground.project, ground.freeze().id, "local", sources=ground.sources)
    assert only_job(ground).status == "interrupted"
    assert trainings.waiting_trainings(ground.database) == []
    trainings.resume(ground.database, ground.project, only_job(ground).id)
    assert len(trainings.waiting_trainings(ground.database)) == 1
