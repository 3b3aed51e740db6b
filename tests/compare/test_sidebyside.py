"""Two models over the same tiles: how much better, how surely, and on what."""

import json

import pytest
from sqlalchemy import update

from db.models import Tile
from maploop.cli import run
from maploop.compare import evaluations
from maploop.compare.gate import GateRule, hold_to
from maploop.compare.marks import marks_on, only_found_by, only_predicted_by, worst_tiles
from maploop.compare.money import Assumptions, weigh
from maploop.compare.report import comparison_as_json
from maploop.compare.sidebyside import Comparison, Difference, compare_models
from maploop.database import Database
from maploop.errors import InputError, NotFoundError
from maploop.project import change_settings
from tests.builders import a_decision, a_prediction
from tests.compare.ground import GUESSED, Town, compared
from tests.evaluate.ground import box, line
from tests.evaluate.test_runs import Town as Row

TRUTH = [(box(x, 0), "building", tile) for tile in range(4) for x in (0, 30)]
HALF = [(box(0, 0), "building", tile, 0.9) for tile in range(4)]
ALL = [(*each, 0.8) for each in TRUTH]


def of_town(town: Town, *names: str) -> Comparison:
    with town.database.read() as connection:
        return compare_models(connection, town.project, names)


def test_a_difference_says_how_much_how_surely_and_on_how_many_tiles() -> None:
    """Each block says the same, which others need not: of 8 items none is an exception, so up to a third may be."""
    difference = compared(TRUTH, {"half": HALF, "all": ALL}).difference("half", "all", "recall")
    assert (difference.value, difference.tiles, difference.blocks) == (0.5, 4, 4)
    assert (difference.low, difference.high) == pytest.approx((0.5 - 0.324, 0.5 + 0.324), abs=1e-3)
    assert difference.text() == "+0.50 recall, 0.18 to 0.82, 4 tiles in 4 blocks"
    assert difference.is_certain


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.12, 0.07, 0.17, "+0.12 F1, 0.07 to 0.17, 240 tiles"),
        (-0.02, -0.05, 0.01, "-0.02 F1, -0.05 to +0.01, 240 tiles"),
        (0.1, None, None, "+0.10 F1, 240 tiles"),
        (None, None, None, "– F1, 240 tiles"),
    ],
)
def test_a_difference_in_words(value: float | None, low: float | None, high: float | None, text: str) -> None:
    assert Difference("a", "b", "f1", None, value, low, high, 9, 240).text() == text


def test_what_is_hard_for_both_models_cancels_out() -> None:
    """Each model alone varies from tile to tile; the difference is the same on every tile."""
    truth = [(box(x, 0), "building", tile) for tile in range(4) for x in range(0, 40 * (tile + 1), 40)]
    one_less = [(*each, 0.9) for each in truth if each[0].bounds[0] > 0]
    comparison = compared(truth, {"less": one_less, "all": [(*each, 0.9) for each in truth]})
    alone = comparison.contender("less").figure("count_error_per_tile")
    together = comparison.difference("less", "all", "count_error_per_tile")
    assert alone.value == 1
    assert (together.value, together.low, together.reason) == (-1, None, "blocks that do not differ")


def test_figures_that_one_model_lacks_have_no_difference() -> None:
    comparison = compared(TRUTH, {"a": HALF, "b": [each[:3] for each in HALF]})
    assert comparison.difference("a", "b", "ap50").value is None
    assert {each.figure for each in comparison.differences("a", "b")} >= {"f1", "precision", "recall"}
    assert "ap50" not in {each.figure for each in comparison.differences("a", "b")}


def test_true_false_and_missed_features_are_told_with_their_geometry(town: Town) -> None:
    comparison = of_town(town, "base", "tuned")
    marks = marks_on(comparison, town.tests[0].address)
    assert len(marks.truth) == 4
    assert [each.found_by for each in marks.truth] == [(), ("base", "tuned"), ("tuned",), ("base", "tuned")]
    fates = [(each.model, each.fate) for each in marks.predictions]
    assert sorted(fates) == [("base", "false")] + [("base", "true")] * 2 + [("tuned", "true")] * 3
    assert marks_on(comparison, town.tests[0].address, ["base"]).truth[2].missed_by == ("base",)


def test_a_road_called_a_path_is_of_the_wrong_class() -> None:
    road = line((0, 0), (60, 0))
    comparison = compared(
        [(road, "road", 0)], {"one": [(road, "path", 0, 0.5), (line((0, 90), (60, 90)), "path", 0, 0.4)]}
    )
    wrong, false = marks_on(comparison, comparison.tiles).predictions
    assert (wrong.fate, wrong.class_name, wrong.true_class) == ("wrong_class", "path", "road")
    assert (false.fate, false.true_class, false.score) == ("false", None, 0.4)


def test_one_tile_has_differences_without_intervals() -> None:
    comparison = compared(TRUTH[:2], {"half": HALF[:1], "all": ALL[:2]}, tiles=1)
    difference = comparison.difference("half", "all", "recall")
    assert (difference.value, difference.low, difference.text()) == (
        0.5,
        None,
        "+0.50 recall, no interval: one block, 1 tile in 1 block",
    )
    economy = weigh(comparison, Assumptions(GUESSED))
    assert (economy.best, economy.row("all").total.low) == ("all", None)
    assert economy.verdict.startswith("Keep half: all is not shown to differ (+0.33 F1")
    assert "which may be chance" in economy.verdict
    assert "that all costs less than drawing by hand is not shown" in economy.verdict
    assert not hold_to(GateRule(), comparison.contender("all"), comparison.contender("half")).passed


def test_what_only_one_found_and_what_only_one_predicted(town: Town) -> None:
    comparison = of_town(town, "base", "tuned")
    assert len(only_found_by(comparison, "tuned", "base")) == 23
    assert only_found_by(comparison, "base", "tuned") == []
    alone = only_predicted_by(comparison, "base", "tuned")
    assert [each.fate for each in alone] == ["false"] * 12
    assert [each.tile for each in alone] == [tile.address for tile in town.tests]


def test_the_worst_tiles_come_first_and_good_ones_not_at_all(town: Town) -> None:
    comparison = of_town(town, "base", "tuned")
    (worst,) = worst_tiles(comparison, "tuned")
    assert worst.tile == town.tests[0].address
    assert worst.counts == {"base": (2, 1, 2), "tuned": (3, 0, 1)}
    assert [each.errors("base") for each in worst_tiles(comparison, "base", most=3)] == [3, 3, 3]
    assert worst_tiles(comparison, "tuned", against="base") == []
    assert len(worst_tiles(comparison, "base", against="tuned")) == 12


def test_chosen_tiles_stand_in_for_a_split(town: Town) -> None:
    with town.database.read() as connection:
        chosen = [town.tests[2].address, town.tests[1].address]
        comparison = compare_models(connection, town.project, ["base"], tiles=chosen)
        assert comparison.tiles == (town.tests[1].address, town.tests[2].address)
        assert comparison.split == ""
        assert 0.005 < comparison.km2 < 0.02
        with pytest.raises(InputError, match="is not a finished tile"):
            compare_models(connection, town.project, ["base"], tiles=[chosen[0].parent(18)])


def test_runs_of_one_model_are_compared_as_models_are(database: Database) -> None:
    row = Row(database)
    plain = row.run_on(dict.fromkeys(row.tests, "ok"), prompt="without examples")
    shown = row.run_on(dict.fromkeys(row.tests, "ok"), prompt="with examples")
    for tile in row.tests:
        row.answer(plain, tile, 9)
        row.answer(shown, tile, 0)
    names = [f"first@{plain}", f"first@{shown}", "first"]
    with database.write() as connection:
        comparison = compare_models(connection, row.project, names)
        evaluations.record_comparison(connection, row.project, row.anna, comparison)
        kept = evaluations.list_evaluations(connection, row.project, "first")
        with pytest.raises(NotFoundError, match="'first' has no run 99"):
            compare_models(connection, row.project, ["first@99"])
        with pytest.raises(NotFoundError, match="There is no model 'none@1'"):
            compare_models(connection, row.project, ["none@1"])
    assert [each.figure("recall").value for each in comparison.contenders] == [0.0, 0.5, 0.5]
    assert [each.prompt_hashes for each in comparison.contenders[:2]] == [("without examples",), ("with examples",)]
    assert [each.basis["runs"] for each in kept] == [[shown], [shown], [plain]]
    assert {each.model for each in kept} == {"first"}


def test_models_are_named_once_and_known(town: Town) -> None:
    with town.database.read() as connection:
        with pytest.raises(InputError, match="name each model once"):
            compare_models(connection, town.project, ["base", " base "])
        with pytest.raises(NotFoundError, match="There is no model 'none'"):
            compare_models(connection, town.project, ["base", "none"])
    with pytest.raises(NotFoundError, match="'none' is not compared here: 'base'"):
        of_town(town, "base").contender("none")


def test_the_command_answers_in_json_and_keeps_the_evaluations(
    town: Town, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", "Town", "--model", "base", "--model", "tuned", "--price", "base=1", "--price", "tuned=2"]
    assert run([*arguments, "--volume", "5000", "--wage", "30", "--json", "--db", database_url]) == 0
    answer = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert [each["name"] for each in answer["models"]] == ["base", "tuned"]
    assert (answer["tiles"], answer["blocks"] > 1, answer["verdict"]) == (12, True, answer["economy"]["verdict"])
    for each in answer["models"]:
        assert (each["asked"], set(each["f1"])) == (12, {"value", "low", "high"})
    assert answer["economy"]["best"] == "tuned"
    assert answer["economy"]["volume"] == 5000
    assert {"figure": "f1", "class_name": None}.items() <= answer["differences"][0].items()
    with town.database.read() as connection:
        use = evaluations.test_split_use(connection, town.project)
    assert (use.looks, use.choices, use.models) == (2, 0, 2)


def test_a_model_that_answered_none_of_the_tiles_gets_no_verdict_but_the_command_that_asks_it(
    database: Database,
) -> None:
    row = Row(database)
    whole = row.run_on(dict.fromkeys(row.tests, "ok"), model="whole")
    for tile in row.tests:
        row.answer(whole, tile, 0)
    row.run_on({row.open: "ok"}, model="elsewhere")
    part = row.run_on({row.tests[0]: "ok", row.tests[1]: "pending", row.tests[2]: "failed"}, model="part")
    row.answer(part, row.tests[0], 5)
    with database.read() as connection:
        comparison = compare_models(connection, row.project, ["elsewhere", "part", "whole"])
        alone = compare_models(connection, row.project, ["elsewhere"])
    economy = weigh(comparison, Assumptions(GUESSED))
    assert [each.is_whole for each in comparison.contenders] == [False, False, True]
    assert comparison.contender("elsewhere").figure("f1").value is None
    assert comparison.contender("part").evaluation.tiles == 2
    assert comparison.contender("part").detail.counts.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 2]]
    assert comparison.difference("part", "whole").value is None
    assert economy.run in (None, "whole")
    assert "no verdict on elsewhere: elsewhere answered 0 of 3 tiles, 3 not asked, of which 90 % are needed" in (
        economy.verdict
    )
    assert "`maploop predict Town --model part --split test` asks the rest" in economy.verdict
    assert economy.row("elsewhere").total.value is None
    told = comparison_as_json(comparison, economy)
    assert [each["asked"] for each in told["models"]] == [0, 2, 3]
    assert told["models"][1]["answers"] == {
        "asked": 2, "answered": 1, "failed": 1, "not_asked": 1, "no_pixels": 0, "licence_refused": 0
    }  # fmt: skip
    verdict = weigh(alone, Assumptions(GUESSED)).verdict
    assert verdict.startswith("No verdict: elsewhere answered 0 of 3 tiles, 3 not asked")
    gate = hold_to(GateRule(), alone.contender("elsewhere"), None)
    assert not gate.passed
    assert "elsewhere may not take over: elsewhere answered 0 of 3 tiles" in gate.text()


def test_a_comparison_says_whose_predictions_its_truth_was_made_from_and_measures_on_blind_tiles_apart(
    town: Town,
) -> None:
    with town.database.write() as connection:
        for place, verdict in ((80, "accept"), (81, "correct"), (82, "reject")):
            roof = a_prediction(connection, town.project, town.tests[1], place, model="base")
            a_decision(connection, town.project, town.tests[1], roof.feature_id, verdict, town.anna)
    assert of_town(town, "base").origin.to_json() == {
        "reviewed": {"base": 2}, "drawn": 48, "tiles": 12, "blind_tiles": 0
    }  # fmt: skip
    with town.database.write() as connection:
        for column in range(0, 12, 2):
            connection.execute(update(Tile).where(Tile.id == town.tests[column].id).values(blind=True))
    comparison = of_town(town, "base", "tuned")
    blind = comparison.on_blind
    assert blind is not None
    assert (len(blind.tiles), blind.blocks, blind.contender("tuned").evaluation.overall.fn) == (6, 6, 1)
    notes = weigh(comparison, Assumptions(GUESSED)).notes
    assert (
        "Of 50 true features, 2 by reviewing predictions of base were made, 48 were drawn: truth made by reviewing "
        "favours base."
    ) in notes
    assert "6 of 12 tiles are blind: annotated without any prediction shown." in notes
    assert any(each.startswith("On the 6 tiles that are blind alone, tuned against base: +0.") for each in notes)
    told = comparison_as_json(comparison)["blind"]
    assert (told["tiles"], [each["name"] for each in told["models"]]) == (6, ["base", "tuned"])
    assert told["differences"][0]["value"] == blind.difference("base", "tuned").value


def test_models_are_compared_on_the_tiles_that_all_of_them_were_asked_about(database: Database) -> None:
    row = Row(database)
    for name, missing in (("first", 0), ("second", 2)):
        run_id = row.run_on({tile: "ok" for place, tile in enumerate(row.tests) if place != missing}, model=name)
        row.answer(run_id, row.tests[1], 0)
    with database.write() as connection:
        project = change_settings(connection, row.project, answered_share=0.6)
        comparison = compare_models(connection, project, ["first", "second"])
    assert comparison.tiles == (row.tests[1].address,)
    assert comparison.left_out == (row.tests[0].address, row.tests[2].address)
    assert [each.evaluation.overall.fn for each in comparison.contenders] == [1, 1]
    notes = weigh(comparison, Assumptions(GUESSED)).notes
    assert any(each.startswith("2 tiles of 3 finished ones are left out") for each in notes)


def test_the_command_prints_a_table_and_the_verdict(
    town: Town, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", "Town", "--model", "base", "--model", "tuned", "--choose", "--db", database_url]
    assert run([*arguments, "--price", "base=1", "--price", "tuned=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["model", "F1"]
    assert any(line.startswith("Run tuned in place of base: it is better (+0.") for line in lines)
    with town.database.read() as connection:
        assert evaluations.test_split_use(connection, town.project).choices == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--price", "base"], "'base' does not fit --price"),
        (["--price", "other=2"], "'other=2' does not fit --price"),
        (["--wage", "-1"], "-1 cannot be the wage"),
        (["--volume", "0"], "0 is not a volume"),
        (["--figure", "beauty"], "'beauty' is not a figure"),
        (["--figure", "count_error"], "'count_error' is no quality to judge by"),
        (["--split", "half"], "'half' is not a split"),
    ],
)
def test_bad_input_is_one_line(
    town: Town, database_url: str, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert run(["compare", "Town", "--model", "base", "--db", database_url, *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
