"""The run engine: every tile is asked once, whatever is killed, cancelled or resumed in between."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import shapely
from sqlalchemy import func, select, update

from db.engine import connect
from db.models import Feature, Prediction, Run, RunTile
from db.models import Tile as TileRow
from db.types import utc_now
from maploop.database import Database
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.imagery.tilemath import Tile
from maploop.predict.choosing import TileChoice
from maploop.predict.history import failed_tiles, last_unfinished, list_runs, load_run
from maploop.predict.models import ModelView, load_model
from maploop.predict.predictor import Assignment, FoundFeature, Outcome
from maploop.predict.run import RunProgress, carry_out, predict_tiles
from maploop.predict.runs import beat, begin_run, cancel_run, new_worker, record_outcomes, take_run
from maploop.project import ProjectView, load_project
from tests.builders import PlacedTile, a_decision, a_person, a_prediction, shape_on, some_imagery
from tests.predict.ground import TILES, FakePredictor, Killed, predictions_of, statuses, tile_at

ALL = TileChoice("all")


def test_a_run_remembers_tiles_tokens_cost_seconds_and_failures(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    predictor = FakePredictor(failing=[tile_at(3)], empty=[tile_at(4)])
    heard: list[RunProgress] = []
    run = predict_tiles(database, project, model, predictor, ALL, parameters={"shots": 3}, hear=heard.append).run
    assert run is not None
    assert (run.status, run.tiles, run.done, run.failed, run.pending) == ("finished", TILES, TILES - 1, 1, 0)
    assert run.failures == {"refused": 1}
    assert run.features == TILES - 2
    assert (run.usage.input_tokens, run.usage.output_tokens) == (90 * TILES, 10 * TILES)
    assert run.usage.cost == pytest.approx(0.01 * TILES)
    assert run.usage.seconds == pytest.approx(0.5 * TILES)
    assert (run.prompt_hash, run.parameters) == ("asked", {"shots": 3})
    assert run.report["new"] == TILES - 2
    assert [each.done + each.failed for each in heard] == [2, 4, 6, 8]
    with database.read() as connection:
        assert list_runs(connection, project) == [run]
        assert [(each.tile, each.kind) for each in failed_tiles(connection, run.id)] == [(tile_at(3), "refused")]
        assert predictions_of(connection, run.id) == TILES - 2


def test_an_unknown_cost_stays_unknown(database: Database, project: ProjectView, model: ModelView) -> None:
    class Unpriced(FakePredictor):
        def outcome(self, tile: Tile) -> Outcome:
            found = super().outcome(tile)
            return replace(found, usage=replace(found.usage, cost=None)) if found.tile == tile_at(2) else found

    run = predict_tiles(database, project, model, Unpriced(), ALL).run
    assert run is not None
    assert run.usage.cost is None


def test_a_killed_run_goes_on_where_it_stopped_and_asks_nothing_twice(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    first = FakePredictor(dies_after=4)
    with pytest.raises(Killed):
        predict_tiles(database, project, model, first, ALL)
    _forget_ending(database)
    with database.read() as connection:
        run = last_unfinished(connection, project, model)
        assert (run.status, run.done, run.pending) == ("interrupted", 4, 4)
    second = FakePredictor()
    run = carry_out(database, project, run.id, second)
    assert (run.status, run.done, run.pending) == ("finished", TILES, 0)
    assert sorted(first.asked + second.asked) == [tile_at(column) for column in range(TILES)]
    assert run.usage.cost == pytest.approx(0.01 * TILES)
    with database.read() as connection:
        assert predictions_of(connection, run.id) == TILES
        assert connection.execute(select(func.count()).select_from(Feature)).scalar_one() == TILES


def _die_in_the_middle(url: str) -> None:
    class Deadly(FakePredictor):
        def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
            for outcomes in super().predict(assignment):
                if len(self.asked) > 4:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield outcomes

    database = connect(url)
    with database.read() as connection:
        project = load_project(connection, "Town")
        model = load_model(connection, project, "fake")
    predict_tiles(database, project, model, Deadly(), ALL)


def test_after_kill_minus_nine_the_run_is_resumed_at_once(
    database: Database, database_url: str, project: ProjectView, model: ModelView
) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_in_the_middle, args=(database_url,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with database.read() as connection:
        left = last_unfinished(connection, project, model)
        assert (left.status, left.done, left.pending) == ("interrupted", 4, 4)
    predictor = FakePredictor()
    run = carry_out(database, project, left.id, predictor)
    assert (run.status, run.done, len(predictor.asked)) == ("finished", TILES, 4)
    assert run.usage.cost == pytest.approx(0.01 * TILES)
    with database.read() as connection:
        assert predictions_of(connection, run.id) == TILES


def _forget_ending(database: Database) -> None:
    """As a process leaves it that had no time to end the run: its worker gone, its status running."""
    with database.write() as connection:
        gone = utc_now() - timedelta(hours=1)
        connection.execute(
            update(Run).values(status="running", worker="elsewhere:1:abc", beat_at=gone, finished_at=None)
        )


def test_a_batch_is_stored_whole_or_not_at_all(
    database: Database, project: ProjectView, model: ModelView, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = record_outcomes
    calls = 0

    def fail_at_the_second(*arguments: object) -> str:
        nonlocal calls
        calls += 1
        answer = recorded(*arguments)  # type: ignore[arg-type]
        if calls == 2:
            raise RuntimeError("the disk is full")
        return answer

    monkeypatch.setattr("maploop.predict.run.record_outcomes", fail_at_the_second)
    with pytest.raises(RuntimeError, match="the disk is full"):
        predict_tiles(database, project, model, FakePredictor(), ALL)
    with database.read() as connection:
        run = last_unfinished(connection, project, model)
        assert (run.status, run.done, run.pending) == ("failed", 2, 6)
        assert run.error == "RuntimeError: the disk is full"
        assert run.usage.cost == pytest.approx(0.02)
        assert predictions_of(connection, run.id) == 2
    assert carry_out(database, project, run.id, FakePredictor()).status == "finished"


def test_cancelling_keeps_what_is_done_and_the_rest_can_be_resumed(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    def cancel(progress: RunProgress) -> None:
        if progress.done == 4:
            with database.write() as connection:
                cancel_run(connection, project, progress.run_id)

    predictor = FakePredictor()
    run = predict_tiles(database, project, model, predictor, ALL, hear=cancel).run
    assert run is not None
    assert (run.status, run.done) == ("cancelled", 6)  # the batch after the fourth tile was begun before anybody knew
    assert run.can_resume
    assert carry_out(database, project, run.id, predictor).status == "finished"
    assert sorted(predictor.asked) == [tile_at(column) for column in range(TILES)]


def test_a_caller_can_cancel_too(database: Database, project: ProjectView, model: ModelView) -> None:
    predictor = FakePredictor()
    run = predict_tiles(database, project, model, predictor, ALL, cancelled=lambda: len(predictor.asked) >= 2).run
    assert run is not None
    assert (run.status, run.done, run.pending) == ("cancelled", 2, 6)


def test_only_a_run_under_way_can_be_cancelled(database: Database, project: ProjectView, model: ModelView) -> None:
    run = predict_tiles(database, project, model, FakePredictor(), ALL).run
    assert run is not None
    with database.write() as connection:
        with pytest.raises(ConflictError, match=f"Run {run.id} is finished already"):
            cancel_run(connection, project, run.id)
        with pytest.raises(NotFoundError, match="There is no run 99"):
            cancel_run(connection, project, 99)


def test_the_same_question_is_not_asked_twice_unless_wanted(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    predictor = FakePredictor(failing=[tile_at(0)])
    predict_tiles(database, project, model, predictor, TileChoice(given=[tile_at(0), tile_at(1)]))
    rest = predict_tiles(database, project, model, FakePredictor(), ALL)
    assert rest.known == 1
    assert rest.run is not None
    assert rest.run.tiles == TILES - 1  # with the one that failed
    nothing = predict_tiles(database, project, model, FakePredictor(), ALL)
    assert (nothing.run, nothing.known) == (None, TILES)
    assert nothing.to_json() == {"run": None, "tiles": 0, "known": TILES}
    other = predict_tiles(database, project, model, FakePredictor(prompt_hash="another"), ALL)
    assert other.run is not None
    again = predict_tiles(database, project, model, FakePredictor(), ALL, again=True)
    assert again.run is not None
    assert again.run.report["updated"] == TILES
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(Feature)).scalar_one() == TILES


def test_two_workers_never_share_a_run_or_a_tile(database: Database, project: ProjectView, model: ModelView) -> None:
    with database.write() as connection:
        begun = begin_run(connection, project, model, TileChoice(given=[tile_at(0)]), prompt_hash="asked")
        assert begun.run_id is not None
        take_run(connection, project, begun.run_id, new_worker())
    with pytest.raises(ConflictError, match=f"Run {begun.run_id} is going on in process"):
        carry_out(database, project, begun.run_id, FakePredictor())
    other = predict_tiles(database, project, model, FakePredictor(), ALL).run
    assert other is not None
    assert other.tiles == TILES - 1
    _forget_ending(database)
    assert carry_out(database, project, begun.run_id, FakePredictor()).status == "finished"


def test_a_worker_whose_run_was_taken_over_stores_nothing_more(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    def take_over(progress: RunProgress) -> None:
        with database.write() as connection:
            connection.execute(update(Run).values(worker="elsewhere:1:abc"))

    with pytest.raises(ConflictError, match="was taken up by somebody else"):
        predict_tiles(database, project, model, FakePredictor(), ALL, hear=take_over)
    with database.read() as connection:
        (run,) = list_runs(connection, project)
        assert run.done == 2
        assert list(statuses(connection, run.id).values()).count("ok") == 2


def test_a_run_is_not_resumed_with_another_question(database: Database, project: ProjectView, model: ModelView) -> None:
    predictor = FakePredictor()
    run = predict_tiles(database, project, model, predictor, ALL, cancelled=lambda: len(predictor.asked) >= 2).run
    assert run is not None
    with pytest.raises(ConflictError, match="begun with another prompt"):
        carry_out(database, project, run.id, FakePredictor(prompt_hash="another"))


def test_a_model_that_forgets_tiles_has_failed_and_can_be_resumed(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    class Forgetful(FakePredictor):
        def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
            yield from list(super().predict(assignment))[:-1]

    with pytest.raises(ConflictError, match=f"no outcome for 2 of {TILES} tiles"):
        predict_tiles(database, project, model, Forgetful(), ALL)
    with database.read() as connection:
        assert last_unfinished(connection, project, model).pending == 2


def test_a_model_that_answers_twice_stores_nothing_twice(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    class Stuttering(FakePredictor):
        def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
            for outcomes in super().predict(assignment):
                yield outcomes
                yield outcomes

    with pytest.raises(ConflictError, match="2 outcomes for 0 tiles that it waits for"):
        predict_tiles(database, project, model, Stuttering(), ALL)
    with database.read() as connection:
        (run,) = list_runs(connection, project)
        assert (run.done, predictions_of(connection, run.id)) == (2, 2)


def test_rejections_are_remembered_and_annotations_confirmed(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    with database.write() as connection:
        anna = a_person(connection, "anna")
        ids = {row.x: row.id for row in connection.execute(select(TileRow.id, TileRow.x))}
        first, second = (PlacedTile(ids[tile_at(column).x], tile_at(column)) for column in (0, 1))
        wrong = a_prediction(connection, project, first)
        right = a_prediction(connection, project, second)
        a_decision(connection, project, first, wrong.feature_id, "reject", anna)
        a_decision(connection, project, second, right.feature_id, "accept", anna)
    run = predict_tiles(database, project, model, FakePredictor(), ALL).run
    assert run is not None
    assert (run.report["remembered_rejects"], run.report["confirmed"], run.report["new"]) == (1, 1, TILES - 2)
    with database.read() as connection:
        remembered = select(Prediction.remembered).where(Prediction.run_id == run.id)
        assert sorted(each or "" for each in connection.execute(remembered).scalars())[-2:] == ["accept", "reject"]


def test_what_a_newer_model_does_not_find_on_its_tiles_goes_and_stays_elsewhere(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    with database.write() as connection:
        ids = {row.x: row.id for row in connection.execute(select(TileRow.id, TileRow.x))}
        shown = [
            a_prediction(connection, project, PlacedTile(ids[tile_at(column).x], tile_at(column)), place=50)
            for column in range(4)
        ]
    predictor = FakePredictor(empty=[tile_at(0)], failing=[tile_at(1)])
    run = predict_tiles(database, project, model, predictor, TileChoice(given=[tile_at(0), tile_at(1), tile_at(2)])).run
    assert run is not None
    assert run.report["withdrawn"] == 2
    with database.read() as connection:
        gone = select(Feature.withdrawn).where(Feature.id.in_([each.feature_id for each in shown])).order_by(Feature.id)
        assert connection.execute(gone).scalars().all() == [True, False, True, False]


def test_what_an_earlier_batch_of_the_run_found_on_a_later_tile_stays(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    class Reaching(FakePredictor):
        def outcome(self, tile: Tile) -> Outcome:
            found = super().outcome(tile)
            if tile != tile_at(0):
                return found
            return replace(found, features=(FoundFeature("building", shape_on(PlacedTile(0, tile_at(1)), 50)),))

    run = predict_tiles(database, project, model, Reaching(batch=1, empty=[tile_at(1)]), ALL).run
    assert run is not None
    assert run.report["withdrawn"] == 0
    with database.read() as connection:
        assert not any(connection.execute(select(Feature.withdrawn)).scalars())


def test_features_that_nobody_can_use_are_counted_not_stored(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    class Sloppy(FakePredictor):
        def outcome(self, tile: Tile) -> Outcome:
            found = super().outcome(tile)
            west, south, east, north = found.tile.bounds
            bow = shapely.Polygon([(west, south), (east, north), (east, south), (west, north)])
            line = shapely.LineString([(west, south), (east, north)])
            return replace(found, features=(FoundFeature("building", bow), FoundFeature("building", line)))

    run = predict_tiles(database, project, model, Sloppy(), TileChoice(given=[tile_at(0)])).run
    assert run is not None
    assert run.features == 2  # the two halves of the bow
    with database.read() as connection:
        assert connection.execute(select(RunTile.dropped)).scalar_one() == {"not a usable polygon": 1}


def test_a_class_that_the_project_lacks_ends_the_run_with_its_reason(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    with pytest.raises(InputError, match="'lake' is not a class"):
        predict_tiles(database, project, model, FakePredictor(class_names=("lake",)), ALL)
    with database.read() as connection:
        (run,) = list_runs(connection, project)
        assert run.status == "failed"
        assert "'lake' is not a class" in run.error


def test_a_run_gives_signs_of_life_from_its_own_thread(
    database: Database, project: ProjectView, model: ModelView, monkeypatch: pytest.MonkeyPatch
) -> None:
    beaten = threading.Event()

    def told(*arguments: object) -> bool:
        answer = beat(*arguments)  # type: ignore[arg-type]
        beaten.set()
        return answer

    monkeypatch.setattr("maploop.predict.run.BEAT_SECONDS", 0.01)
    monkeypatch.setattr("maploop.predict.run.beat", told)
    run = predict_tiles(database, project, model, FakePredictor(), ALL, hear=lambda _: _wait_for(beaten)).run
    assert run is not None
    assert run.status == "finished"
    with database.read() as connection:
        assert load_run(connection, project, run.id).status == "finished"
        assert connection.execute(select(Run.worker)).scalar_one() == ""


def _wait_for(event: threading.Event) -> None:
    assert event.wait(30)


def test_tiles_without_imagery_are_not_predicted(database: Database, project: ProjectView, model: ModelView) -> None:
    with database.write() as connection:
        some_imagery(connection, project)
        connection.execute(update(TileRow).where(TileRow.x == tile_at(0).x).values(imagery_id=None))
    run = predict_tiles(database, project, model, FakePredictor(), ALL).run
    assert run is not None
    assert run.tiles == TILES - 1
    with pytest.raises(NotFoundError, match="is not a tile of 'Town' with imagery"):
        predict_tiles(database, project, model, FakePredictor(), TileChoice(given=[tile_at(0)]))
