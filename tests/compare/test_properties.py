"""What must hold of any comparison."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from maploop.compare.break_even import Outlay, break_even_of, frontier
from maploop.compare.gate import GateRule, hold_to
from maploop.compare.money import Assumptions, weigh
from maploop.quality.statistics import Metric
from tests.compare.ground import GUESSED, compared
from tests.evaluate.ground import Drawn, box
from tests.evaluate.test_properties import scene, scored

NO_SAVING = Metric(None, 0, 0)
money = st.floats(0, 1e6)
few = settings(max_examples=25)  # each is several evaluations


@few
@given(scene, scored)
def test_a_model_differs_from_itself_by_exactly_nothing(truth: list[Drawn], predictions: list[Drawn]) -> None:
    comparison = compared(truth, {"one": predictions, "same": list(predictions)})
    for each in comparison.differences("one", "same"):
        assert (each.value, each.low, each.high) in ((0, 0, 0), (0, None, None))
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
    strict = GateRule(margin=margin, class_loss=loss)
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
        rule = GateRule(metric=metric)
        if hold_to(rule, comparison.contender("worse"), current).passed:
            assert hold_to(rule, comparison.contender("candidate"), current).passed


@few
@given(scene, scored)
def test_no_model_passes_against_itself(truth: list[Drawn], predictions: list[Drawn]) -> None:
    comparison = compared(truth, {"a": predictions, "b": list(predictions)})
    assert not hold_to(GateRule(), comparison.contender("b"), comparison.contender("a")).passed
