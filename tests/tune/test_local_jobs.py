"""Trainings on this machine are jobs as well: a row with its course, at no cost, whatever became of them."""

import pytest

from maploop.database import Database
from maploop.errors import ConflictError, InputError, LicenceError
from maploop.predict.models import list_models
from maploop.tune.jobs import JobView, job_events, load_job
from maploop.tune.preflight import preflight
from maploop.tune.records import cancel_job, pause_job, resume_job, waiting_jobs
from maploop.tune.trainer import TuningCancelledError
from maploop.tune.tuning import tune
from maploop.tune.work import carry_out_job, start_job
from tests.tune.ground import Ground, lay_ground, only_job


def begun(ground: Ground, *, in_app: bool = False) -> JobView:
    plan = preflight(ground.database, ground.project, ground.freeze().id, "local", trainer="local", name="mine")
    return start_job(ground.database, ground.project, plan, None, annotator="anna", in_app=in_app)


def test_a_training_while_one_waits_leaves_its_course(ground: Ground) -> None:
    model = tune(ground.database, ground.project, ground.freeze().id, "local", sources=ground.sources, annotator="anna")
    job = only_job(ground)
    assert (job.trainer, job.status, job.model, job.result) == ("local", "succeeded", model.name, model.identifier)
    assert (job.cost, job.cost_estimated, job.share, job.destination) == (0.0, 0.0, 1.0, "this machine")
    assert (job.created_by, job.at_work, job.is_over) == ("anna", False, True)
    with ground.database.read() as connection:
        told = [each.message for each in job_events(connection, job.id)]
        first = job_events(connection, job.id)[0].id
        assert len(job_events(connection, job.id, after=first)) == len(told) - 1
    assert told[0] == "Learning"
    assert "Measuring on the validation split" in told
    assert told[-1] == f"Made '{model.name}'."


def test_what_stops_a_training_stands_in_its_row(sqlite_database: Database) -> None:
    ground = lay_ground(sqlite_database, may_train=False)
    with pytest.raises(LicenceError):
        tune(ground.database, ground.project, ground.freeze().id, "local", sources=ground.sources)
    job = only_job(ground)
    assert (job.status, job.model, job.can_resume) == ("failed", None, True)
    assert "forbid training" in job.error
    plan = preflight(ground.database, ground.project, job.dataset_id, "local", trainer="local")
    with pytest.raises(InputError, match="forbid training"):
        start_job(ground.database, ground.project, plan, None)


def test_a_training_of_the_app_is_taken_up_by_whoever_comes(local_ground: Ground) -> None:
    database, project = local_ground.database, local_ground.project
    job = begun(local_ground, in_app=True)
    assert (job.status, job.can_resume, job.can_pause) == ("waiting", True, False)
    with database.read() as connection:
        assert [(each.job_id, each.trainer) for each in waiting_jobs(connection)] == [(job.id, "local")]
    heard: list[float] = []

    def stop_the_first(share: float, text: str) -> None:
        heard.append(share)
        if len(heard) == 3:
            with database.read() as connection:
                assert load_job(connection, project, job.id).at_work
                assert waiting_jobs(connection) == []
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out_job(database, project, job.id, hear=stop_the_first, sources=local_ground.sources)
    with database.read() as connection:
        assert load_job(connection, project, job.id).status == "waiting"
    ended = carry_out_job(database, project, job.id, sources=local_ground.sources, resume=False)
    assert (ended.status, ended.model) == ("succeeded", "mine")
    with database.read() as connection:
        assert [each.name for each in list_models(connection, project)] == ["mine"]
        assert waiting_jobs(connection) == []


def test_a_training_can_be_cancelled_by_a_person_and_not_paused(
    local_ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maploop.tune.work.LOCAL_BEAT_SECONDS", 0.02)
    database, project = local_ground.database, local_ground.project
    job = begun(local_ground)
    assert job.status == "interrupted"
    asked = False

    def cancel(share: float, text: str) -> None:
        nonlocal asked
        if not asked:
            asked = True
            with database.write() as connection:
                with pytest.raises(ConflictError, match="is done on this machine"):
                    pause_job(connection, project, job.id)
                assert cancel_job(connection, project, job.id).wish == "cancel"

    with pytest.raises(TuningCancelledError):
        carry_out_job(database, project, job.id, hear=cancel, sources=local_ground.sources)
    ended = only_job(local_ground)
    assert (ended.status, ended.wish, ended.model) == ("cancelled", None, None)
    with pytest.raises(ConflictError, match="is cancelled: begin a new one"), database.write() as connection:
        resume_job(connection, project, job.id)


def test_what_somebody_ended_meanwhile_is_left_alone(local_ground: Ground) -> None:
    database, project = local_ground.database, local_ground.project
    job = begun(local_ground)
    with database.write() as connection:
        assert cancel_job(connection, project, job.id).status == "cancelled"
    with pytest.raises(ConflictError, match="is cancelled: begin a new one"):
        carry_out_job(database, project, job.id, sources=local_ground.sources)
