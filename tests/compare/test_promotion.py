"""Who is in charge: a candidate must show that it is better, and whoever overrules that must say why."""

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from db.models import Evaluation, Promotion
from maploop.cli import run
from maploop.compare import evaluations
from maploop.compare.gate import GateRule, hold_to
from maploop.compare.money import weigh
from maploop.compare.promotion import (
    current_model,
    go_back,
    promote,
    promotions,
    rule_of,
    try_candidate,
    usual_assumptions,
)
from maploop.compare.sidebyside import compare_models
from maploop.errors import ConflictError
from maploop.evaluate.runs import evaluate_model, rules_of
from maploop.project import change_settings
from tests.builders import a_prediction
from tests.compare.ground import Town, compared
from tests.evaluate.ground import box


def take_over(town: Town, model: str, reason: str = "", *, confirmed: bool = True) -> None:
    with town.database.write() as connection:
        trial = try_candidate(connection, town.project, model)
        promote(connection, town.project, town.anna, trial, reason=reason, confirmed=confirmed)


def current(town: Town) -> str | None:
    with town.database.read() as connection:
        model = current_model(connection, town.project)
    return model.name if model else None


def test_the_first_model_needs_to_beat_nobody(town: Town) -> None:
    assert current(town) is None
    take_over(town, "base")
    assert current(town) == "base"


def test_a_model_that_another_one_beats_is_promoted_only_when_that_is_confirmed(town: Town) -> None:
    """Nobody is current, so the gate lets it through; the comparison on the same page calls it worse."""
    with town.database.read() as connection:
        trial = try_candidate(connection, town.project, "base")
    assert trial.gate.passed
    assert [each.split(" (")[0] for each in trial.objections] == ["base is worse than tuned"]
    with pytest.raises(ConflictError, match=r"Against it speaks: base is worse than tuned .* Confirm that base"):
        take_over(town, "base", confirmed=False)
    assert current(town) is None
    take_over(town, "tuned", confirmed=False)
    take_over(town, "base", "The other one is shut down.", confirmed=False)
    with town.database.read() as connection:
        newest = promotions(connection, town.project)[0]
    assert newest.evidence["objections"] == []
    assert "Keep tuned" in newest.evidence["verdict"] or "not every cost is known" in newest.evidence["verdict"]


def test_verdict_and_promotion_box_hold_a_candidate_to_the_same_gate(town: Town) -> None:
    take_over(town, "base")
    with town.database.read() as connection:
        trial = try_candidate(connection, town.project, "tuned")
        comparison = compare_models(connection, town.project, ["base", "tuned"])
        economy = weigh(comparison, usual_assumptions(connection, town.project, comparison))
    assert trial.gate == trial.economy.gates["tuned"] == economy.gates["tuned"]
    assert trial.economy.verdict == economy.verdict


def test_the_command_says_what_a_promotion_rests_on_and_asks(
    town: Town, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["promote", "Town", "--model", "base", "--db", database_url]
    assert run(command) == 1
    printed = capsys.readouterr().out
    assert "It rests on 12 finished test tiles in " in printed
    assert "Against it speaks: base is worse than tuned (-0" in printed
    assert "add --yes" in printed
    assert current(town) is None
    assert run([*command, "--yes"]) == 0
    assert current(town) == "base"
    with town.database.read() as connection:
        assert promotions(connection, town.project)[0].evidence["objections"]


def test_a_better_model_takes_over_with_its_evidence_on_record(town: Town) -> None:
    take_over(town, "base")
    take_over(town, "tuned")
    assert current(town) == "tuned"
    with town.database.read() as connection:
        newest = promotions(connection, town.project)[0]
        kept = connection.execute(select(func.count()).select_from(Evaluation)).scalar_one()
        use = evaluations.test_split_use(connection, town.project)
    assert (newest.act, newest.model, newest.previous, newest.passed) == ("promote", "tuned", "base", True)
    assert newest.made_by == "anna"
    evidence = newest.evidence
    assert evidence["difference"]["value"] > 0.3
    assert evidence["difference"]["low"] > 0
    assert [each["model"] for each in evidence["models"]] == ["base", "tuned"]
    assert evidence["models"][1]["runs"]
    assert len(evidence["evaluations"]) == 2
    assert (kept, use.looks, use.choices) == (3, 0, 3)


def test_a_worse_model_is_held_back_unless_somebody_writes_why(town: Town) -> None:
    take_over(town, "tuned")
    with pytest.raises(ConflictError, match="base may not take over: -0"):
        take_over(town, "base", "  ")
    assert current(town) == "tuned"
    take_over(town, "base", "The other one is shut down.")
    with town.database.read() as connection:
        newest = promotions(connection, town.project)[0]
    assert (newest.act, newest.passed, newest.reason) == ("overrule", False, "The other one is shut down.")
    assert current(town) == "base"


def test_going_back_is_one_act_and_twice_goes_back_twice(town: Town) -> None:
    take_over(town, "base")
    take_over(town, "tuned")
    for expected in ("base", None):
        with town.database.write() as connection:
            back = go_back(connection, town.project, town.anna)
        assert (back.act, back.model, current(town)) == ("return", expected, expected)
    with pytest.raises(ConflictError, match="has taken over, so there is none"), town.database.write() as connection:
        go_back(connection, town.project, town.anna)
    take_over(town, "tuned")
    assert current(town) == "tuned"
    with town.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(Promotion)).scalar_one() == 5


def test_a_trial_does_not_outlive_the_model_it_was_held_against(town: Town) -> None:
    with town.database.read() as connection:
        trial = try_candidate(connection, town.project, "tuned")
    take_over(town, "base")
    with pytest.raises(ConflictError, match="'base' is current by now"), town.database.write() as connection:
        promote(connection, town.project, town.anna, trial)
    with pytest.raises(ConflictError, match="is the current model already"):
        take_over(town, "base")


def test_the_projects_rule_decides(town: Town) -> None:
    take_over(town, "base")
    with town.database.write() as connection:
        town.project = change_settings(connection, town.project, promotion_margin=0.9)
    assert rule_of(town.project) == GateRule(margin=0.9)
    with pytest.raises(ConflictError, match="tuned may not take over"):
        take_over(town, "tuned")


def test_no_class_may_lose_too_much() -> None:
    truth = [(box(x, 0), "building", tile) for tile in range(12) for x in (0, 30, 60)]
    wells = [(box(0, 0).centroid, "well", tile) for tile in range(12)]
    before = [(*each, 0.9) for each in [*truth[::3], *wells]]
    comparison = compared([*truth, *wells], {"now": before, "new": [(*each, 0.9) for each in truth]}, tiles=12)
    pair = comparison.contender("new"), comparison.contender("now")
    gate = hold_to(GateRule(), *pair)
    assert [(check.name, check.passed) for check in gate.checks] == [
        ("better", True),
        ("building", True),
        ("well", False),
    ]
    assert (gate.passed, gate.text()) == (
        False,
        "new may not take over: well -1.00 F1, -1.00 to -0.76, 12 tiles in 12 blocks.",
    )
    assert hold_to(GateRule(class_loss=1.0), *pair).passed


def test_a_lead_on_few_blocks_is_none() -> None:
    truth = [(box(x, 0), "building", tile) for tile in range(4) for x in range(0, 600, 30)]
    before = [(*each, 0.9) for each in truth[::2]]
    comparison = compared(truth, {"now": before, "new": [(*each, 0.9) for each in truth]})
    pair = comparison.contender("new"), comparison.contender("now")
    gate = hold_to(GateRule(), *pair)
    assert not gate.passed
    assert "the finished test tiles lie in 4 split blocks, and 5 are needed: finish test tiles elsewhere" in gate.text()
    assert hold_to(GateRule(blocks=4), *pair).passed


def test_candidates_spend_the_chance_of_error_that_the_rule_allows() -> None:
    rule = GateRule(confidence=0.95)
    assert rule.confidence_of(1) == pytest.approx(0.95)
    spent = sum((1 - rule.confidence_of(tries)) / 2 for tries in range(1, 10_000))
    assert spent == pytest.approx(0.75 * 0.05, abs=1e-4)


def test_a_further_candidate_on_the_same_test_split_needs_more_confidence(town: Town) -> None:
    take_over(town, "base")
    with town.database.write() as connection:
        for tile in town.tests:
            a_prediction(connection, town.project, tile, 0, model="other")
        evaluation, basis = evaluate_model(connection, town.project, "other", rules_of(town.project))
        evaluations.record_evaluation(connection, town.project, town.anna, evaluation, basis)
    with town.database.read() as connection:
        gate = try_candidate(connection, town.project, "tuned").gate
    assert gate.tries == 2
    assert "at 99.17 % confidence, as it is candidate 2 on this test split" in gate.checks[0].text
    assert gate.passed


def test_every_evaluation_on_the_test_split_is_kept(
    town: Town, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with town.database.read() as connection:
        told = evaluations.test_split_use(connection, town.project)
    assert told.text == "Nothing was evaluated on the test split yet."
    assert run(["evaluate", "Town", "--model", "base", "--json", "--db", database_url]) == 0
    printed = json.loads(capsys.readouterr().out)
    with town.database.read() as connection:
        (kept,) = evaluations.list_evaluations(connection, town.project)
        told = evaluations.test_split_use(connection, town.project)
    assert kept.result["overall"] == printed["overall"]
    assert (kept.model, kept.split, kept.purpose, kept.basis["runs"]) == ("base", "test", "look", printed["runs"])
    assert told.text == "1 model was evaluated on the test split 1 time, 0 times of these to choose."


def test_what_is_kept_is_what_a_comparison_says(town: Town) -> None:
    with town.database.write() as connection:
        comparison = compare_models(connection, town.project, ["base", "tuned"])
        evaluations.record_comparison(connection, town.project, town.anna, comparison, "choose")
        newest, _ = evaluations.list_evaluations(connection, town.project)
    assert (newest.model, newest.purpose, newest.basis["compared_with"]) == ("tuned", "choose", ["base"])
    assert newest.result["overall"]["f1"] == comparison.contender("tuned").figure("f1").value


def test_the_command_promotes_holds_back_overrules_and_goes_back(
    town: Town, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(*arguments: str, code: int = 0) -> dict[str, Any]:
        assert run(["promote", "Town", *arguments, "--json", "--db", database_url]) == code
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    assert answer("--model", "tuned", "--try")["passed"] is True
    assert answer()["current"] is None
    assert answer("--model", "tuned")["current"] == "tuned"
    held = answer("--model", "base", code=1)
    assert (held["promoted"], held["passed"]) == (False, False)
    assert answer("--model", "base", "--overrule", "Cheaper.")["reason"] == "Cheaper."
    assert answer("--back")["current"] == "tuned"
    assert [each["act"] for each in answer()["promotions"]] == ["return", "overrule", "promote"]
    assert run(["promote", "Town", "--back", "--model", "base", "--db", database_url]) == 2
    assert "Name a candidate" in capsys.readouterr().err
    assert run(["promote", "Town", "--db", database_url]) == 0
    assert capsys.readouterr().out.startswith("Current model: tuned.\n")


def test_predictions_that_came_later_do_not_change_what_was_kept(town: Town) -> None:
    take_over(town, "base")
    with town.database.write() as connection:
        for tile in town.tests:
            a_prediction(connection, town.project, tile, 70, model="base")
        (act,) = promotions(connection, town.project)
    assert act.evidence["models"][0]["figures"]["precision"]["value"] == pytest.approx(24 / 36)
