"""What must hold of any comparison."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from maploop.compare.break_even import Outlay, break_even_of, frontier
from maploop.compare.gate import GateRule, hold_to
from maploop.compare.judgement import judge
from maploop.compare.money import BY_HAND, Assumptions, weigh
from maploop.compare.report import comparison_as_json
from maploop.compare.spending import Spent
from maploop.compare.wording import fixed, usd
from maploop.quality.statistics import Metric
from maploop.report.tables import differences_table, money_table
from tests.compare.ground import GUESSED, compared
from tests.evaluate.ground import Drawn, box
from tests.evaluate.test_properties import scene, scored

NO_SAVING = Metric(None, 0, 0)
money = st.floats(0, 1e6)
few = settings(max_examples=25)  # each is several evaluations


@few
@given(scene, scored)
def test_a_model_differs_from_its_twin_by_nothing_and_nobody_knows_the_sign(
    truth: list[Drawn], predictions: list[Drawn]
) -> None:
    comparison = compared(truth, {"one": predictions, "same": list(predictions)})
    for each in comparison.differences("one", "same"):
        assert each.value == 0
        assert (each.low is None and each.reason) or (each.low or 0) == -(each.high or 0) < 0
    economy = weigh(comparison, Assumptions(GUESSED))
    saving = economy.break_even("one", "same").saving
    assert (saving.value, saving.low, saving.high) == (0, 0, 0)


@few
@given(scene, scored, scored)
def test_differences_turn_with_the_models(truth: list[Drawn], first: list[Drawn], second: list[Drawn]) -> None:
    comparison = compared(truth, {"a": first, "b": second})
    for there in comparison.differences("a", "b"):
        back = comparison.difference("b", "a", there.figure, there.class_name)
        assert back.value == -(there.value or 0)
        assert (back.low is None) == (there.low is None)


@given(money, money, money, money)
def test_break_even_is_the_same_from_both_sides(a: float, b: float, c: float, d: float) -> None:
    first, second = Outlay("first", a, b), Outlay("second", c, d)
    there, back = break_even_of(first, second, NO_SAVING), break_even_of(second, first, NO_SAVING)
    assert (there.tiles, there.cheaper, there.below, there.text) == (
        back.tiles,
        back.cheaper,
        back.below,
        back.text,
    ) or (there.cheaper is None and back.cheaper is None)
    if there.tiles is not None:
        assert there.tiles > 0
        assert there.below != there.cheaper


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=12))
def test_nothing_on_the_frontier_is_beaten_and_everything_else_is(points: list[tuple[float, float]]) -> None:
    on = frontier(list(points))
    assert any(on) or not points
    for (cost, quality), stands in zip(points, on, strict=True):
        beaten = any(c <= cost and q >= quality and (c, q) != (cost, quality) for c, q in points)
        assert stands != beaten


@few
@given(scene, scored, scored, st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_gate_that_asks_for_less_never_holds_back_who_passed(
    truth: list[Drawn], first: list[Drawn], second: list[Drawn], margin: float, less: float, loss: float
) -> None:
    comparison = compared(truth, {"current": first, "candidate": second})
    strict = GateRule(margin=margin, class_loss=loss, blocks=3)
    easy = replace(strict, margin=max(0.0, margin - less), class_loss=loss + less)
    pair = comparison.contender("candidate"), comparison.contender("current")
    assert hold_to(easy, *pair).passed or not hold_to(strict, *pair).passed


@few
@given(scene, scored, scored)
def test_a_false_prediction_more_never_opens_the_gate(
    truth: list[Drawn], first: list[Drawn], second: list[Drawn]
) -> None:
    worse = [*second, (box(300, 300), "building", 1, 0.99)]
    comparison = compared(truth, {"current": first, "candidate": second, "worse": worse})
    current = comparison.contender("current")
    for metric in ("f1", "precision"):
        rule = GateRule(metric=metric, blocks=3)
        if hold_to(rule, comparison.contender("worse"), current).passed:
            assert hold_to(rule, comparison.contender("candidate"), current).passed


@settings(max_examples=60)
@given(scene, st.lists(scored, min_size=1, max_size=3), st.lists(money, min_size=3, max_size=3), st.floats(0.001, 0.5))
def test_sentence_tables_and_promotion_box_never_contradict_each_other(
    truth: list[Drawn], drawn: list[list[Drawn]], costs: list[float], margin: float
) -> None:
    names = ("a", "b", "c")[: len(drawn)]
    spent = {name: Spent(tiles=4, cost=cost / 1e4, seconds=4.0) for name, cost in zip(names, costs, strict=False)}
    comparison = compared(truth, dict(zip(names, drawn, strict=True)), spent=spent)
    economy = weigh(comparison, Assumptions(GUESSED, margin=margin))
    base, verdict = names[0], economy.verdict
    assert "-0 USD" not in verdict
    assert "-0.00" not in verdict
    table = differences_table(comparison) if len(names) > 1 else None
    for name in names[1:]:
        gate = hold_to(GateRule(), comparison.contender(name), comparison.contender(base))
        judged = judge(comparison.difference(base, name), margin)
        assert economy.gates[name] == gate
        assert economy.judgements[name] == judged
        if f"{name} is worse" in verdict or f"{name} is not shown to differ" in verdict:
            assert not gate.passed
        if f"Run {name} in place of" in verdict:
            assert gate.passed or "takes a written reason" in verdict
            assert judged.relation in ("better", "equivalent")
        if gate.passed and "nothing was predicted" not in verdict:
            assert f"{name} is better" in verdict or f"Run {name} in place of {base}" in verdict
        assert table is not None
        (row,) = (each for each in table.rows if each[:2] == ("over all", name))
        cell = row[table.head.index("F1")] if "F1" in table.head else "–"
        if judged.relation in ("better", "worse"):
            assert "?" not in cell
            assert cell.startswith(("+", "0.00") if judged.relation == "better" else ("−", "0.00"))
        elif judged.difference.low is not None:
            assert cell.endswith("?")
    shown = money_table(economy)
    strong = {shown.rows[place][0] for place in shown.strong}
    assert strong == ({economy.run} if economy.run else set())
    assert economy.run != BY_HAND or verdict.startswith("Draw by hand")
    assert not any("-0.00" in cell or cell == "-0" for row in shown.rows for cell in row)
    told = comparison_as_json(comparison, economy)
    assert (told["verdict"], told["run"]) == (verdict, economy.run)


@given(st.floats(-1e9, 1e9), st.integers(0, 4))
def test_no_number_in_words_is_a_zero_with_a_sign(value: float, digits: int) -> None:
    for text in (fixed(value, digits), fixed(value, digits, signed=True), usd(value)):
        number = text.replace(",", "").removesuffix(" USD")
        assert float(number) != 0 or number[0] not in "+-"


@few
@given(scene, scored)
def test_no_model_passes_against_itself(truth: list[Drawn], predictions: list[Drawn]) -> None:
    comparison = compared(truth, {"a": predictions, "b": list(predictions)})
    assert not hold_to(GateRule(blocks=3), comparison.contender("b"), comparison.contender("a")).passed
