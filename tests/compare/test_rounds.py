"""The chart that shows the loop closing: each model's predictions as people reviewed them."""

from datetime import timedelta
from typing import Any

import pytest

from db.types import utc_now
from maploop.compare.evaluations import record_evaluation
from maploop.compare.rounds import rounds_of
from maploop.evaluate.runs import evaluate_model, rules_of
from maploop.project import ProjectView
from tests.builders import a_decision, a_person, a_prediction, a_project, a_tile, a_tile_event
from tests.compare.ground import Town


def test_a_round_is_a_models_predictions_as_reviewed(database: Any) -> None:
    start = utc_now()

    def review(
        connection: Any, project: ProjectView, column: int, model: str, verdicts: list[str], seconds: float, day: int
    ) -> None:
        anna = a_person(connection, "anna")
        tile = a_tile(connection, project, column, status="complete", finished_by=anna)
        for place, verdict in enumerate(verdicts):
            feature = (
                None if verdict == "add" else a_prediction(connection, project, tile, place, model=model).feature_id
            )
            a_decision(connection, project, tile, feature, verdict, anna)
        at = start + timedelta(days=day)
        a_tile_event(connection, tile, "complete", anna, seconds=seconds, stored_at=at)

    with database.write() as connection:
        project = a_project(connection)
        review(connection, project, 1, "base", ["accept", "reject", "add", "add"], 30.0, 0)
        review(connection, project, 2, "base", ["correct", "reject"], 20.0, 1)
        review(connection, project, 3, "base", ["unsure", "add"], 20.0, 1)
        review(connection, project, 0, "tuned", ["accept", "accept", "correct"], 10.0, 5)
    with database.read() as connection:
        first, second = rounds_of(connection, project)
    assert (first.number, first.model, first.tiles, second.number, second.model) == (1, "base", 2, 2, "tuned")
    assert (first.seconds_a_tile.value, second.seconds_a_tile.value) == (25.0, 10.0)
    assert first.corrections_a_tile.value == pytest.approx((3 + 2) / 2)
    assert first.unchanged.value == 0.25
    assert second.unchanged.value == pytest.approx(2 / 3)
    assert (first.first, first.last) == (start, start + timedelta(days=1))
    assert first.quality is None


def test_a_clock_that_jumps_back_does_not_put_a_later_round_first(database: Any) -> None:
    with database.write() as connection:
        project, anna = a_project(connection), a_person(connection, "anna")
        for column, (model, day) in enumerate((("base", 0), ("tuned", -3))):
            tile = a_tile(connection, project, column, status="complete", finished_by=anna)
            feature = a_prediction(connection, project, tile, model=model).feature_id
            a_decision(connection, project, tile, feature, "accept", anna)
            a_tile_event(connection, tile, "complete", anna, stored_at=utc_now() + timedelta(days=day))
        assert [each.model for each in rounds_of(connection, project)] == ["base", "tuned"]


def test_the_quality_of_a_round_is_that_of_the_newest_evaluation(town: Town) -> None:
    with town.database.write() as connection:
        feature = a_prediction(connection, town.project, town.tests[0], 60, model="base").feature_id
        a_decision(connection, town.project, town.tests[0], feature, "reject", town.anna)
        a_tile_event(connection, town.tests[0], "complete", town.anna, seconds=9.0)
        evaluation, basis = evaluate_model(connection, town.project, "base", rules_of(town.project))
        record_evaluation(connection, town.project, town.anna, evaluation, basis)
        (found,) = rounds_of(connection, town.project)
    assert found.quality is not None
    assert found.quality.value == evaluation.overall.figures["f1"].value
    assert found.quality.low == evaluation.overall.figures["f1"].low


def test_a_project_nobody_reviewed_has_no_rounds(town: Town) -> None:
    with town.database.read() as connection:
        assert rounds_of(connection, town.project) == []
