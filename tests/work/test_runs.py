"""Runs in the background: done when the foreman comes, gone on with after a kill, never paid for twice."""

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import select, update

from db.models import Run
from maploop.database import Database
from maploop.errors import ConflictError, InputError
from maploop.predict.choosing import TileChoice
from maploop.predict.history import load_run
from maploop.predict.models import ModelView, add_model
from maploop.predict.predictor import Assignment, Outcome
from maploop.predict.run import predict_tiles
from maploop.predict.runs import new_worker
from maploop.project import ProjectView
from maploop.work import runs
from maploop.work.foreman import Foreman, Watch
from tests.predict.ground import TILES, FakePredictor, Grey, Killed, only_run, tile_at

ALL = TileChoice("all")


def test_a_run_waits_for_the_foreman_and_is_done_by_him(
    database: Database, project: ProjectView, model: ModelView, predictor: FakePredictor, foreman: Foreman
) -> None:
    begun = runs.begin(database, project, model, ALL)
    assert (begun.tiles, begun.known) == (TILES, 0)
    assert only_run(database, project).status == "waiting"
    foreman.work_off()
    run = only_run(database, project)
    assert (run.status, run.done) == ("finished", TILES)
    assert run.usage.cost == pytest.approx(0.01 * TILES)


def test_after_a_kill_the_rest_is_done_and_nothing_is_asked_twice(
    database: Database, project: ProjectView, model: ModelView, predictor: FakePredictor, foreman: Foreman
) -> None:
    runs.begin(database, project, model, ALL)
    predictor.dies_after = 4
    with pytest.raises(Killed):
        foreman.work_off()
    with database.write() as connection:  # a kill leaves the run as it stood, its worker gone
        connection.execute(update(Run).values(status="running", worker="elsewhere:1:dead", beat_at=None))
    predictor.dies_after = None
    foreman.work_off()
    run = only_run(database, project)
    assert (run.status, run.done) == ("finished", TILES)
    assert run.usage.cost == pytest.approx(0.01 * TILES)
    assert sorted(predictor.asked) == [tile_at(column) for column in range(TILES)]


def test_what_another_process_is_at_work_on_is_left_to_it(
    database: Database, project: ProjectView, model: ModelView, predictor: FakePredictor, foreman: Foreman
) -> None:
    runs.begin(database, project, model, ALL)
    with database.write() as connection:
        connection.execute(update(Run).values(worker=new_worker(), beat_at=Run.started_at))
    foreman.work_off()
    assert predictor.asked == []
    assert only_run(database, project).status == "running"


def test_a_run_from_the_command_line_is_not_taken_over(
    database: Database, project: ProjectView, model: ModelView, foreman: Foreman
) -> None:
    with pytest.raises(Killed):
        predict_tiles(database, project, model, FakePredictor(dies_after=2), ALL, sources=lambda _: Grey())
    with database.write() as connection:
        connection.execute(update(Run).values(status="running"))
    foreman.work_off()
    run = only_run(database, project)
    assert (run.status, run.pending) == ("interrupted", TILES - 2)


def test_a_run_is_cancelled_while_it_waits_and_resumed_later(
    database: Database, project: ProjectView, model: ModelView, predictor: FakePredictor, foreman: Foreman
) -> None:
    runs.begin(database, project, model, ALL)
    runs.cancel(database, project, only_run(database, project).id, foreman)
    foreman.work_off()
    assert predictor.asked == []
    run = only_run(database, project)
    assert (run.status, run.can_resume) == ("cancelled", True)
    runs.resume(database, project, run)
    foreman.work_off()
    assert only_run(database, project).status == "finished"
    with pytest.raises(ConflictError, match="is finished"):
        runs.resume(database, project, run)


def test_a_run_goes_on_with_a_larger_budget_and_remembers_it(
    database: Database, project: ProjectView, model: ModelView, predictor: FakePredictor, foreman: Foreman
) -> None:
    run_id = runs.begin(database, project, model, ALL, parameters={"budget": 1.0}).run_id or 0
    runs.cancel(database, project, run_id, foreman)
    before = only_run(database, project)
    assert before.parameters["estimate"]["tiles"] == TILES
    runs.resume(database, project, before, budget=2.0)
    after = only_run(database, project)
    assert after.parameters == {**before.parameters, "budget": 2.0}
    foreman.work_off()
    assert only_run(database, project).status == "finished"


def test_a_run_is_cancelled_at_work_and_keeps_what_it_has(
    database: Database, project: ProjectView, model: ModelView, foreman: Foreman, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(FakePredictor):
        def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
            for number, outcomes in enumerate(super().predict(assignment)):
                yield outcomes
                if number == 1:
                    runs.cancel(database, project, only_run(database, project).id, foreman)

    predictor = Interrupted()
    monkeypatch.setattr(runs, "open_predictor", lambda *_, **__: predictor)
    runs.begin(database, project, model, ALL)
    foreman.work_off()
    run = only_run(database, project)
    assert (run.status, run.done, run.pending) == ("cancelled", 4, TILES - 4)
    assert len(predictor.asked) == 4


def test_a_run_cancelled_just_before_it_is_taken_up_stays_so(
    database: Database, project: ProjectView, model: ModelView, predictor: FakePredictor, foreman: Foreman
) -> None:
    runs.begin(database, project, model, ALL)
    (task,) = runs.waiting_runs(database)
    runs.cancel(database, project, task.run_id, foreman)
    with pytest.raises(ConflictError, match="is cancelled: resume it"):
        task.carry_out(Watch(task.key))
    assert only_run(database, project).status == "cancelled"


def test_tiles_of_a_run_that_waits_are_not_asked_for_in_another(
    database: Database, project: ProjectView, model: ModelView, predictor: FakePredictor, foreman: Foreman
) -> None:
    runs.begin(database, project, model, TileChoice(given=[tile_at(0), tile_at(1)]))
    assert runs.begin(database, project, model, ALL).tiles == TILES - 2
    foreman.work_off()
    assert sorted(predictor.asked) == [tile_at(column) for column in range(TILES)]


def test_a_run_that_cannot_be_taken_up_says_why_and_is_left_alone(
    database: Database,
    project: ProjectView,
    model: ModelView,
    predictor: FakePredictor,
    foreman: Foreman,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs.begin(database, project, model, ALL)

    def gone(*_: object, **__: object) -> FakePredictor:
        msg = "The model's file is gone: train it again."
        raise InputError(msg)

    monkeypatch.setattr(runs, "open_predictor", gone)
    foreman.work_off()
    run = only_run(database, project)
    assert (run.status, run.error) == ("failed", "The model's file is gone: train it again.")
    assert runs.waiting_runs(database) == []


def test_a_model_that_cannot_predict_is_refused_before_anything_is_begun(
    database: Database, project: ProjectView
) -> None:
    with database.write() as connection:
        model = add_model(connection, project, "theirs", "file")
    with pytest.raises(InputError, match="come from files"):
        runs.begin(database, project, model, ALL)
    with database.read() as connection:
        assert connection.execute(select(Run.id)).all() == []


def test_the_watch_tells_how_far_a_run_is(
    database: Database, project: ProjectView, model: ModelView, foreman: Foreman, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    class Watched(FakePredictor):
        def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
            for outcomes in super().predict(assignment):
                yield outcomes
                watch = foreman.watch(runs.run_key(run_id))
                assert watch is not None
                seen.append(watch.share)

    monkeypatch.setattr(runs, "open_predictor", lambda *_, **__: Watched())
    run_id = runs.begin(database, project, model, ALL).run_id or 0
    foreman.work_off()
    assert seen == [0.25, 0.5, 0.75, 1.0]
    assert foreman.watch(runs.run_key(run_id)) is None
    with database.read() as connection:
        assert load_run(connection, project, run_id).status == "finished"
