"""What models cost at a volume, people's time included, and what that comes to in words."""

from dataclasses import replace

import pytest

from maploop.compare.break_even import Outlay, break_even_of, frontier
from maploop.compare.gate import GateRule
from maploop.compare.money import Assumptions, Economy, weigh
from maploop.compare.sidebyside import Comparison
from maploop.compare.spending import Speeds, Spent, corrected_shares, measured_speeds
from maploop.database import Database
from maploop.errors import InputError
from maploop.prices import Price
from maploop.quality.statistics import Metric
from tests.builders import a_decision, a_person, a_prediction, a_project, a_tile, a_tile_event
from tests.compare.ground import GUESSED, compared
from tests.evaluate.ground import box

TILES = 4
TRUTH = [(box(x, 0), "building", tile) for tile in range(TILES) for x in (0, 30)]
HALF = [(box(0, 0), "building", tile, 0.9) for tile in range(TILES)]
ALL = [(*each, 0.8) for each in TRUTH]
PLAIN = Speeds(
    accept=Metric(2.0, 0, 0),
    correct=Metric(2.0, 0, 0),
    reject=Metric(1.0, 0, 0),
    add=Metric(10.0, 0, 0),
    tile=Metric(4.0, 0, 0),
    corrected=Metric(0.0, 0, 0),
)
UNSURE = Metric(None, 0, 0)


def half_and_all(**how: object) -> Comparison:
    return compared(TRUTH, {"half": HALF, "all": ALL}, **how)  # type: ignore[arg-type]


def weighed(comparison: Comparison, **told: object) -> Economy:
    plain = Assumptions(PLAIN, volume=1000, wage=36.0, rule=GateRule(blocks=TILES))
    return weigh(comparison, replace(plain, **told))  # type: ignore[arg-type]


def test_review_costs_what_the_model_leaves_to_do() -> None:
    """Half: one accepted (2 s), one drawn (10 s), a look (4 s) a tile; all: 2 x 2 s and a look."""
    economy = weighed(half_and_all())
    half, everything = economy.rows
    assert half.review_hours_per_1000.value == pytest.approx(16_000 / 3600)
    assert everything.review_hours_per_1000.value == pytest.approx(8_000 / 3600)
    assert half.hours_saved_per_1000.value == pytest.approx(8_000 / 3600)  # by hand: 2 x 10 s and a look
    assert everything.total.value == pytest.approx(80.0)  # 36 USD an hour is a cent a second
    assert half.total.value == pytest.approx(160.0)
    assert economy.best == "all"


def test_models_cost_what_their_runs_did_and_by_area_too() -> None:
    spent = {"half": Spent(tiles=TILES, cost=0.4, seconds=20.0), "all": Spent(tiles=TILES, cost=0.8, seconds=8.0)}
    row = weighed(half_and_all(spent=spent)).row("half")
    assert (row.model_per_1000, row.seconds_per_1000) == (100.0, 5000.0)
    assert row.model_per_km2 == pytest.approx(0.4 / (TILES * 0.006))
    assert row.seconds_per_km2 == pytest.approx(20.0 / (TILES * 0.006))


def test_prices_that_the_user_gives_win() -> None:
    spent = Spent(tiles=TILES, input_tokens=1000, cached_tokens=2000, output_tokens=400, cost=9.0, seconds=4.0)
    comparison = compared(TRUTH, {"half": HALF}, spent={"half": spent})
    price = Price(input=2.0, cached_input=1.0, cache_write=None, output=10.0)
    assert weighed(comparison).rows[0].model_per_1000 == pytest.approx(2250)
    assert weighed(comparison, prices={"half": price}).rows[0].model_per_1000 == pytest.approx(2.0)
    told = weighed(comparison, prices={"half": price}, cost_per_1000={"half": 3.0}, training={"half": 40.0})
    assert (told.rows[0].model_per_1000, told.rows[0].training) == (3.0, 40.0)
    assert told.rows[0].outlay_per_1000 == pytest.approx(43.0)


def test_a_machine_of_ours_costs_its_hours() -> None:
    comparison = compared(TRUTH, {"half": HALF}, spent={"half": Spent(tiles=TILES, cost=0.0, seconds=TILES * 3.6)})
    (model,) = comparison.contenders
    ours = replace(comparison, contenders=(replace(model, backend="local", training_seconds=1800.0),))
    assert (weighed(ours).rows[0].model_per_1000, weighed(ours).rows[0].training) == (0.0, 0.0)
    row = weighed(ours, machine_hour=2.0).rows[0]
    assert row.model_per_1000 == pytest.approx(2.0)
    assert row.training == 1.0


def test_a_model_of_ours_costs_nothing_though_its_predictions_came_as_a_file() -> None:
    comparison = compared(TRUTH, {"half": HALF}, spent={"half": Spent()})
    (model,) = comparison.contenders
    ours = replace(comparison, contenders=(replace(model, backend="local"),))
    assert weighed(ours).rows[0].model_per_1000 == 0.0
    assert weighed(comparison).rows[0].model_per_1000 is None
    assert weighed(ours, machine_hour=2.0).rows[0].model_per_1000 is None


def test_what_nobody_knows_is_not_reckoned_with() -> None:
    economy = weighed(half_and_all(spent={"all": Spent()}, training={"half": None}))
    assert [row.total.value for row in economy.rows] == [None, None]
    assert economy.row("all").model_per_1000 is None
    assert "all: a file does not say what its predictions cost: give a price for 1,000 tiles." in economy.notes
    assert "half: what training it cost is not known: say so." in economy.notes
    assert (economy.best, economy.break_evens[0].cheaper) == (None, None)
    assert economy.verdict.startswith("all is better than half (+0.33 F1")
    assert "not every cost is known" in economy.verdict


@pytest.mark.parametrize(
    ("first", "second", "tiles", "cheaper", "below"),
    [
        ((0, 3), (100, 1), 50, "second", "first"),
        ((100, 1), (0, 3), 50, "first", "second"),
        ((0, 1), (100, 1), None, "first", None),
        ((0, 1), (100, 2), None, "first", None),
        ((5, 1), (5, 1), None, None, None),
        ((5, 2), (5, 1), None, "second", None),
        ((None, 2), (5, 1), None, None, None),
    ],
)
def test_break_even(
    first: tuple[float | None, float],
    second: tuple[float | None, float],
    tiles: float | None,
    cheaper: str | None,
    below: str | None,
) -> None:
    found = break_even_of(Outlay("first", *first), Outlay("second", *second), UNSURE)
    assert (found.tiles, found.cheaper, found.below) == (tiles, cheaper, below)


def test_training_pays_for_itself_from_a_volume_on() -> None:
    """8 s of review a tile fewer, at a cent a second, are 8 cents: 20 USD of training are 250 tiles."""
    economy = weighed(half_and_all(training={"all": 20.0}))
    pair = economy.break_even("all", "half")
    assert pair.tiles == pytest.approx(250)
    assert pair.text == "all is cheaper than half from 250 tiles on."
    assert pair.saving.value == pytest.approx(60.0)
    assert weighed(half_and_all(training={"all": 20.0}), volume=200).best == "half"


def test_the_verdict_is_one_sentence_with_its_uncertainty() -> None:
    economy = weighed(half_and_all(training={"all": 20.0}))
    assert economy.verdict == (
        "Run all in place of half: it is better (+0.33 F1, 0.01 to 0.66, 4 tiles in 4 blocks), and at 1,000 tiles it "
        "costs 60 USD less (95 %: 60 to 60) than half, people's time included, and pays for itself from 250 tiles on."
    )
    few = weighed(half_and_all(training={"all": 20.0}), volume=100)
    assert few.verdict.startswith("Keep half: at 100 tiles it costs 12 USD less")
    assert "no longer less from 250 tiles on" in few.verdict
    assert weighed(compared(TRUTH, {"half": HALF})).verdict.startswith("half stands alone")


def test_a_saving_that_may_be_chance_is_called_so() -> None:
    other = [(box(0 if tile % 2 else 30, 0), "building", tile, 0.9) for tile in range(TILES - 1)]
    comparison = compared(TRUTH, {"other": other, "half": HALF})
    economy = weighed(comparison)
    assert economy.verdict.startswith("Keep other: half is not shown to differ (+0.12 F1")
    assert "which may be chance" in economy.verdict
    assert "as good" not in economy.verdict


def test_a_guess_is_called_a_guess_and_a_measured_speed_widens_the_interval() -> None:
    comparison = half_and_all()
    guessed = weigh(comparison, Assumptions(GUESSED))
    assert any("accepting a feature 1.5 s (guessed)" in note for note in guessed.notes)
    timed = replace(GUESSED, add=Metric(8.0, 30, 30, 6.0, 10.0))
    total = weigh(comparison, Assumptions(timed)).row("half").total
    assert total.low is not None
    assert total.high is not None
    assert guessed.row("half").total.low == pytest.approx(guessed.row("half").total.high)
    assert total.low < (total.value or 0) < total.high


def test_a_model_whose_outlines_need_fewer_corrections_costs_less_review() -> None:
    comparison = compared(TRUTH, {"rough": ALL, "fine": ALL})
    speeds = replace(PLAIN, correct=Metric(12.0, 0, 0))
    shares = {"rough": Metric(0.5, 100, 100, 0.4, 0.6), "fine": Metric(0.1, 100, 100, 0.05, 0.15)}
    economy = weighed(comparison, speeds=speeds, corrected=shares)
    saving = economy.break_even("rough", "fine").saving
    assert saving.value == pytest.approx(80)  # 0.4 of 2 features a tile take 10 s less, at a cent, on 1,000 tiles
    assert (saving.low or 0) < 70 < 90 < (saving.high or 0)
    assert economy.best == "fine"
    assert "Of the predictions of fine that are kept, 10 % must be corrected (n 100)." in economy.notes
    assert weighed(comparison, speeds=speeds).break_even("rough", "fine").saving.value == 0


def test_corrections_are_a_models_own_where_enough_was_kept(sqlite_database: Database) -> None:
    with sqlite_database.write() as connection:
        project = a_project(connection)
        anna = a_person(connection, "anna")
        tile = a_tile(connection, project)
        for place in range(50):
            feature = a_prediction(connection, project, tile, place, model="known").feature_id
            a_decision(connection, project, tile, feature, "accept" if place % 5 else "correct", anna)
        feature = a_prediction(connection, project, tile, 60, model="new").feature_id
        a_decision(connection, project, tile, feature, "accept", anna)
    with sqlite_database.read() as connection:
        shares = corrected_shares(connection, project)
    assert {name: share.value for name, share in shares.items()} == {"known": 0.2}


def test_the_frontier_leaves_out_what_is_beaten_or_not_known() -> None:
    assert frontier([(1, 0.5), (2, 0.6), (3, 0.55), (None, 0.9), (1, None)]) == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"volume": 0}, "0 is not a volume"),
        ({"wage": float("nan")}, "nan cannot be the wage"),
        ({"machine_hour": -1.0}, "-1 cannot be the machine's price"),
        ({"cost_per_1000": {"a": float("inf")}}, "inf cannot be the price of 'a'"),
        ({"training": {"a": -2.0}}, "-2 cannot be the training cost of 'a'"),
    ],
)
def test_assumptions_that_make_no_sense_are_refused(told: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Assumptions(GUESSED, **told)  # type: ignore[arg-type]


def test_speeds_are_those_of_people_who_looked(sqlite_database: Database) -> None:
    with sqlite_database.write() as connection:
        project = a_project(connection)
        anna = a_person(connection, "anna")
        tile = a_tile(connection, project, status="complete", finished_by=anna)
        for place, (verdict, seconds) in enumerate(
            [("accept", 1.0), ("accept", 3.0), ("accept", 0.0), ("correct", 9.0), ("accept", 4000.0), ("reject", 1.5)]
        ):
            feature = a_prediction(connection, project, tile, place).feature_id
            a_decision(connection, project, tile, feature, verdict, anna, seconds=seconds)
        a_tile_event(connection, tile, "complete", anna, seconds=4020.0)
    with sqlite_database.read() as connection:
        speeds = measured_speeds(connection, project)
    assert (speeds.accept.value, speeds.accept.scored) == (2.0, 2)
    assert (speeds.correct.value, speeds.reject.value) == (9.0, 1.5)
    assert (speeds.add.value, speeds.add.scored) == (8.0, 0)
    assert speeds.tile.value == pytest.approx(4020 - 4014.5)
    assert speeds.corrected.value == pytest.approx(1 / 3)
