"""A model of a project against the annotations of its finished test tiles."""

import json
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, select, update

from db.models import Feature, Imagery, Model, Prediction, Run, RunTile, TileFeature
from db.models import Tile as TileRow
from maploop.cli import run
from maploop.database import Database
from maploop.errors import ConflictError, InputError
from maploop.evaluate.metrics import Evaluation
from maploop.evaluate.runs import evaluate_model, rules_of
from maploop.imagery.pixels import coverage_of
from tests.builders import PlacedTile, a_decision, a_person, a_prediction, a_project, a_tile, shape_on


class Town:
    """Three finished test tiles in a row, one of training, one open; two true buildings on each."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as connection:
            self.project = a_project(connection)
            self.anna = a_person(connection, "anna")
            done: dict[str, Any] = {"status": "complete", "finished_by": self.anna}
            self.tests = [a_tile(connection, self.project, column, split="test", **done) for column in range(3)]
            self.trained = a_tile(connection, self.project, 3, split="train", **done)
            self.open = a_tile(connection, self.project, 4, split="test")
            for tile in (*self.tests, self.trained, self.open):
                for place in (0, 5):
                    geometry = shape_on(tile, place)
                    a_decision(connection, self.project, tile, None, "add", self.anna, geometry=geometry)

    def predict(
        self, tile: PlacedTile, place: int, *, model: str = "first", score: float = 0.8, shift: float = 0
    ) -> None:
        with self.database.write() as connection:
            a_prediction(
                connection, self.project, tile, model=model, score=score, geometry=shape_on(tile, place, shift=shift)
            )

    def run_on(self, answers: dict[PlacedTile, str], *, model: str = "first", prompt: str = "p") -> int:
        """A run that was asked for tiles, with what became of each."""
        with self.database.write() as connection:
            model_id = connection.execute(
                select(Model.id).where(Model.project_id == self.project.id, Model.name == model)
            ).scalar()
            if model_id is None:
                model_id = connection.execute(
                    insert(Model).values(project_id=self.project.id, name=model, backend="chat").returning(Model.id)
                ).scalar_one()
            run_id = connection.execute(
                insert(Run)
                .values(project_id=self.project.id, model_id=model_id, tiles=len(answers), prompt_hash=prompt)
                .returning(Run.id)
            ).scalar_one()
            for tile, status in answers.items():
                failure = "refused" if status == "failed" else None
                connection.execute(
                    insert(RunTile).values(run_id=run_id, tile_id=tile.id, status=status, failure=failure)
                )
            return run_id

    def answer(self, run_id: int, tile: PlacedTile, place: int) -> None:
        """A prediction of a run."""
        with self.database.write() as connection:
            feature = connection.execute(select(Feature.id)).scalars().first()
            connection.execute(
                insert(Prediction).values(
                    run_id=run_id,
                    feature_id=feature,
                    class_id=self.project.classes[0].id,
                    geometry=shape_on(tile, place),
                    score=0.5,
                    source_row=0,
                    properties={},
                )
            )

    def evaluate(self, model: str = "first", **how: Any) -> tuple[Evaluation, dict[str, Any]]:
        with self.database.read() as connection:
            return evaluate_model(connection, self.project, model, rules_of(self.project), **how)


@pytest.fixture
def town(database: Database) -> Town:
    return Town(database)


def numbers(evaluation: Evaluation) -> tuple[int, int, int]:
    return evaluation.overall.tp, evaluation.overall.fp, evaluation.overall.fn


def test_only_finished_tiles_of_the_split_count(town: Town) -> None:
    for tile in (*town.tests, town.trained, town.open):
        town.predict(tile, 0)
    town.predict(town.tests[0], 9)
    evaluation, basis = town.evaluate()
    assert numbers(evaluation) == (3, 1, 3)
    assert evaluation.tiles == 3
    assert (basis["split"], basis["tiles_not_asked"]) == ("test", 0)
    assert numbers(town.evaluate(split="train")[0]) == (1, 0, 1)


def test_tiles_without_predictions_count_as_empty(town: Town) -> None:
    town.predict(town.tests[0], 0)
    evaluation, _ = town.evaluate()
    assert numbers(evaluation) == (1, 0, 5)


def test_rejected_features_are_no_truth_and_corrected_ones_are(town: Town) -> None:
    with town.database.write() as connection:
        wrong = a_prediction(connection, town.project, town.tests[0], 9)
        a_decision(connection, town.project, town.tests[0], wrong.feature_id, "reject", town.anna)
        right = a_prediction(connection, town.project, town.tests[0], 20)
        a_decision(connection, town.project, town.tests[0], right.feature_id, "correct", town.anna)
    evaluation, _ = town.evaluate()
    assert numbers(evaluation) == (1, 1, 6)


def test_features_are_cut_at_the_border_of_the_tiles(town: Town) -> None:
    left, right = town.tests[:2]
    with town.database.write() as connection:
        across = shape_on(left, 59, shift=1.0)
        a_decision(connection, town.project, left, None, "add", town.anna, geometry=across)
        feature = connection.execute(select(Feature.id).order_by(Feature.id.desc())).scalars().first()
        connection.execute(insert(TileFeature).values(tile_id=right.id, feature_id=feature))
        half = across.intersection(left.address.polygon)
        a_prediction(connection, town.project, left, geometry=half)
    evaluation, _ = town.evaluate()
    assert numbers(evaluation) == (1, 0, 7)
    assert evaluation.overall.figures["mean_iou"].value == 1


def test_the_newest_file_of_a_model_counts(town: Town) -> None:
    town.predict(town.tests[0], 0)
    with town.database.write() as connection:
        model_id = connection.execute(select(Model.id)).scalar_one()
        newer = connection.execute(
            insert(Run).values(project_id=town.project.id, model_id=model_id).returning(Run.id)
        ).scalar_one()
    town.answer(newer, town.tests[1], 0)
    town.answer(newer, town.tests[2], 5)
    evaluation, basis = town.evaluate()
    assert numbers(evaluation) == (2, 0, 4)
    assert basis["runs"] == [newer]
    assert numbers(town.evaluate(run_id=newer - 1)[0]) == (1, 0, 5)


def test_failed_tiles_are_misses_and_counted_apart(town: Town) -> None:
    run_id = town.run_on({town.tests[0]: "ok", town.tests[1]: "failed", town.tests[2]: "pending"})
    town.answer(run_id, town.tests[0], 0)
    evaluation, basis = town.evaluate()
    assert numbers(evaluation) == (1, 0, 3)
    assert (evaluation.tiles, evaluation.failed_tiles, evaluation.overall.missed_in_failed_tiles) == (2, 1, 2)
    assert basis["answers"] == {
        "asked": 2, "answered": 1, "failed": 1, "not_asked": 1, "no_pixels": 0, "licence_refused": 0
    }  # fmt: skip
    assert basis["failures"] == {"refused": 1}


def test_chosen_tiles_stand_in_for_a_split(town: Town) -> None:
    for tile in (*town.tests, town.trained):
        town.predict(tile, 0)
    chosen = [town.trained.address, town.tests[0].address]
    evaluation, basis = town.evaluate(tiles=chosen)
    assert (evaluation.tiles, numbers(evaluation)) == (2, (2, 0, 2))
    assert (basis["split"], basis["chosen_tiles"]) == ("", [str(town.tests[0]), str(town.trained)])
    with pytest.raises(InputError, match=f"{town.open} is not a finished tile of 'Town'"):
        town.evaluate(tiles=[town.open.address])


def test_the_command_takes_tiles_and_tells_what_failed_in_which_way(
    town: Town, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = town.run_on({town.tests[0]: "ok", town.tests[1]: "failed"})
    town.answer(run_id, town.tests[0], 0)
    command = ["evaluate", "Town", "--model", "first", "--db", database_url]
    assert run([*command, "--tile", str(town.tests[1]), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["tiles"], answer["overall"]["fn"], answer["failures"]) == (1, 2, {"refused": 1})
    assert run(command) == 0
    assert "Without a usable answer: 1 refused; what is there counts as missed." in capsys.readouterr().out


def test_older_runs_that_put_the_same_question_answer_for_the_tiles_the_newest_left_out(town: Town) -> None:
    first = town.run_on({town.tests[0]: "ok", town.tests[1]: "failed"})
    town.answer(first, town.tests[0], 0)
    other = town.run_on({town.tests[2]: "ok"}, prompt="another question")
    town.answer(other, town.tests[2], 0)
    second = town.run_on({town.tests[1]: "ok"})
    town.answer(second, town.tests[1], 0)
    town.answer(second, town.tests[0], 9)  # reaches onto a tile that it was not asked for
    evaluation, basis = town.evaluate()
    assert numbers(evaluation) == (2, 0, 2)
    assert (basis["runs"], basis["tiles_not_asked"], evaluation.failed_tiles) == ([first, second], 1, 0)
    assert numbers(town.evaluate(run_id=other)[0]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("status", "failure", "counted"),
    [
        ("pending", None, "not_asked"),
        ("failed", "waiting", "not_asked"),
        ("failed", "imagery", "no_pixels"),
        ("failed", "licence", "licence_refused"),
        ("failed", "malformed", "failed"),
    ],
)
def test_a_tile_that_could_not_be_asked_about_is_no_empty_answer(
    town: Town, status: str, failure: str | None, counted: str
) -> None:
    run_id = town.run_on({town.tests[0]: "ok", town.tests[1]: "ok", town.tests[2]: status})
    with town.database.write() as connection:
        connection.execute(update(RunTile).where(RunTile.status == "failed").values(failure=failure))
    town.answer(run_id, town.tests[0], 0)
    evaluation, basis = town.evaluate()
    assert basis["answers"][counted] == 1
    assert (evaluation.tiles, numbers(evaluation)) == ((3, (1, 0, 5)) if counted == "failed" else (2, (1, 0, 3)))


def test_tiles_that_the_model_may_not_be_shown_are_counted_by_their_licence(town: Town) -> None:
    run_id = town.run_on(dict.fromkeys(town.tests[:2], "ok"))
    town.answer(run_id, town.tests[0], 0)
    with town.database.write() as connection:
        connection.execute(update(Imagery).values(may_leave=False))
    evaluation, basis = town.evaluate()
    assert (evaluation.tiles, basis["answers"]["licence_refused"], basis["answers"]["not_asked"]) == (2, 1, 0)


def test_an_answer_outlives_a_newer_run_that_could_not_ask(town: Town) -> None:
    first = town.run_on({town.tests[0]: "ok"})
    town.answer(first, town.tests[0], 0)
    town.run_on({town.tests[0]: "failed"})
    with town.database.write() as connection:
        connection.execute(update(RunTile).where(RunTile.status == "failed").values(failure="imagery"))
    assert numbers(town.evaluate()[0]) == (1, 0, 1)


def test_a_model_without_any_answer_is_named_with_the_command_that_asks_it(town: Town) -> None:
    town.run_on({town.open: "ok"})
    with pytest.raises(
        ConflictError, match=r"answered 0 of 3 tiles, 3 not asked: `maploop predict Town --model first "
    ):
        town.evaluate()


def test_a_file_with_nothing_on_these_tiles_has_not_answered_them(town: Town) -> None:
    town.predict(town.trained, 0)
    with pytest.raises(ConflictError, match="'first' answered 0 of 3 tiles"):
        town.evaluate()


def test_the_command_answers_the_same(town: Town, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    town.predict(town.tests[0], 0)
    code = run(["evaluate", town.project.name, "--model", "first", "--json", "--db", database_url])
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    answer = json.loads(printed.out, parse_constant=pytest.fail)
    assert (answer["overall"]["tp"], answer["overall"]["fn"], answer["classes"]["building"]["recall"]) == (1, 5, 1 / 6)
    assert set(answer["classes"]) == {"building", "road", "well"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["Nowhere", "--model", "first"], "There is no project 'Nowhere'"),
        (["Town", "--model", "none"], "There is no model 'none' in 'Town': 'first'."),
        (["Town", "--model", "first", "--split", "half"], "'half' is not a split"),
        (["Town", "--model", "first", "--split", "validation"], "No tile of the validation split"),
        (["Town", "--model", "first", "--run", "99"], "has no run 99"),
        (["Town", "--model", "first", "--class", "building"], "speak of files"),
        (["Town", "--model", "first", "--iou", "0"], "0 is not an IoU threshold"),
    ],
)
def test_bad_input_is_one_line(
    town: Town, database_url: str, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    town.predict(town.tests[0], 0)
    assert run(["evaluate", *arguments, "--db", database_url]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_what_is_predicted_where_somebody_is_unsure_counts_neither_way(town: Town) -> None:
    for place in (7, 0, 9):
        town.predict(town.tests[0], place)
    with town.database.write() as connection:
        feature = connection.execute(select(Prediction.feature_id).order_by(Prediction.id)).scalars().first()
        connection.execute(update(Feature).where(Feature.id == feature).values(verdict="unsure"))
    evaluation, basis = town.evaluate()
    assert (evaluation.tiles, numbers(evaluation), basis["unsure"]) == (3, (1, 1, 5), 1)


def test_what_lies_on_ground_without_pixels_is_neither_true_nor_false(town: Town) -> None:
    for tile in town.tests:
        for place in (0, 5, 7):  # the first two are true; 5 and 7 lie in the eastern half
            town.predict(tile, place)
    assert numbers(town.evaluate()[0]) == (6, 3, 0)
    rgba = np.full((256, 256, 4), 255, dtype=np.uint8)
    rgba[:, 128:] = 0  # shape 0 lies in the western half, 5 and 7 in the eastern
    half = coverage_of(rgba)
    with town.database.write() as connection:
        torn, bare = (update(TileRow).where(TileRow.id == town.tests[place].id) for place in (0, 1))
        connection.execute(torn.values(pixel_share=half.share, pixel_mask=half.mask, pixel_source="s"))
        connection.execute(bare.values(pixel_share=0.0, pixel_source="s"))
    evaluation, basis = town.evaluate()
    assert numbers(evaluation) == (3, 1, 0)  # one of the torn tile, two and a false one of the whole tile
    assert basis["truth_without_pixels"] == 1
    assert basis["answers"]["no_pixels"] == 1
