"""The verdict of a comparison in plain words, with its uncertainty, and the assumptions behind it, a sentence each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from maploop.compare.break_even import BreakEven, in_tiles
from maploop.compare.gate import Gate
from maploop.compare.judgement import Judgement
from maploop.compare.sidebyside import Comparison, Contender
from maploop.compare.spending import Speeds
from maploop.compare.wording import counted, fixed, usd
from maploop.evaluate.runs import ask_command
from maploop.prices import load_prices
from maploop.quality.intervals import reason_for_none
from maploop.quality.statistics import Metric

if TYPE_CHECKING:
    from maploop.compare.money import Assumptions, ModelCosts

BY_HAND = "no model, drawn by hand"
_DONE = {"accept": "accepting", "correct": "correcting", "reject": "rejecting", "add": "drawing", "tile": "a look at"}


@dataclass(frozen=True)
class Advice:
    """The verdict. `run`: the model that it says to run, or `BY_HAND`; None where it does not say."""

    text: str
    run: str | None


@dataclass(frozen=True)
class Weighed:
    """The figures of a verdict, all of models that answered enough of the tiles; the first of them is the base.

    totals          USD at the volume, people included; None where something is not known
    by_hand         of drawing everything by hand
    pairs           break-even of any two models
    hand_pairs      by model, break-even of drawing by hand and the model
    hours_saved     by model, hours of people saved for 1,000 tiles against drawing by hand
    judgements      by model, its quality against that of the base
    gates           by model, whether it may take over from the base by the project's rule
    """

    totals: Mapping[str, float | None]
    by_hand: float
    pairs: Sequence[BreakEven]
    hand_pairs: Mapping[str, BreakEven]
    hours_saved: Mapping[str, Metric]
    judgements: Mapping[str, Judgement]
    gates: Mapping[str, Gate]

    @property
    def may_take_over(self) -> list[str]:
        """Models that the project's rule lets take over from the base."""
        return [name for name, gate in self.gates.items() if gate.passed]

    def pair(self, first: str, second: str) -> BreakEven:
        """Break-even of two models, in either order."""
        return next(each for each in self.pairs if {each.first, each.second} == {first, second})


def verdict_of(comparison: Comparison, volume: int, weighed: Weighed) -> Advice:
    """Which model to run and how sure that is, in a sentence; models that answered too little are named at its end."""
    whole = comparison.whole
    lacking = [_lacking(comparison, each) for each in comparison.incomplete]
    if not whole:
        return Advice(f"No verdict: {'; '.join(lacking)}.", None)
    base = whole[0].name
    if all(each.value is None for each in (one.evaluation.overall.figures["f1"] for one in whole)):
        return Advice("There is nothing on these tiles, and nothing was predicted: compare on others.", None)
    known = {name: total for name, total in weighed.totals.items() if total is not None}
    advice = _by_quality(base, weighed) if len(known) < len(whole) else _by_money(base, volume, known, weighed)
    more = [f"no verdict on {each.name}: {told}" for each, told in zip(comparison.incomplete, lacking, strict=True)]
    if comparison.split != "test" and weighed.gates:
        more.insert(0, "the test split decides who may take over")
    return Advice(f"{'; '.join([advice.text, *more])}.", advice.run)


def _lacking(comparison: Comparison, model: Contender) -> str:
    """The answers that a model lacks, and the command that asks for them."""
    command = ask_command(comparison.project, model.model_name, comparison.split, model.backend)
    wanted = fixed(100 * comparison.answered_share, 0)
    return f"{model.name} {model.answers.text()}, of which {wanted} % are needed ({command} asks the rest)"


def _by_money(base: str, volume: int, totals: Mapping[str, float], weighed: Weighed) -> Advice:
    """When all costs are known: the cheapest, where quality and the project's rule do not speak against it."""
    ranked = sorted(totals, key=lambda name: totals[name])
    cheapest = ranked[0]
    hand = weighed.hand_pairs[cheapest]
    if weighed.by_hand < totals[cheapest] and _is_certain(hand.saving):
        money = _money(hand.saving, cheapest, volume, second_is_cheaper=False)
        quality = [f"; {each.text()}" for each in weighed.judgements.values()]
        return Advice(f"Draw by hand, as no model here pays: by hand {money}{''.join(quality)}", BY_HAND)
    pays = weighed.by_hand > totals[cheapest] and _is_certain(hand.saving)
    unsure = "" if pays else f"; that {cheapest} costs less than drawing by hand is not shown"
    if len(totals) == 1:
        money = _money(hand.saving, BY_HAND, volume, second_is_cheaper=weighed.by_hand >= totals[base])
        text = f"{base} stands alone: name another model to compare it with; {money}{unsure}"
        return Advice(text, None if unsure else base)
    advice = (_keep if cheapest == base else _replace)(
        base, ranked[1] if cheapest == base else cheapest, volume, weighed
    )
    return Advice(advice.text + unsure, advice.run)


def _keep(base: str, rival: str, volume: int, weighed: Weighed) -> Advice:
    """When the base is the cheapest: against the next one, and every model that the rule lets take over."""
    pair = weighed.pair(base, rival)
    money = _money(pair.saving, rival, volume, second_is_cheaper=pair.second == base) + _turning(pair, base)
    named = list(dict.fromkeys([rival, *weighed.may_take_over]))
    quality = "; ".join(f"{name} {weighed.judgements[name].clause()}" for name in named)
    return Advice(f"Keep {base}{_doubt(pair.saving)}: {money}; {quality}{_allowed(weighed)}", base)


def _replace(base: str, best: str, volume: int, weighed: Weighed) -> Advice:
    """When another one is the cheapest: it replaces the base where it is better by the rule, or as good."""
    pair, judged, gate = weighed.pair(base, best), weighed.judgements[best], weighed.gates[best]
    money = _money(pair.saving, base, volume, second_is_cheaper=pair.second == best) + _turning(pair, best)
    doubt = _doubt(pair.saving)
    if gate.passed:
        others = [name for name in weighed.may_take_over if name != best]
        more = "".join(f"; {name} {weighed.judgements[name].clause()}" for name in others)
        return Advice(f"Run {best} in place of {base}{doubt}: it {judged.clause()}, and {money}{more}", best)
    if judged.relation == "equivalent":
        rule = "the project's rule asks for better, so promoting it takes a written reason"
        return Advice(
            f"Run {best} in place of {base}{doubt}: it {judged.clause()}, and {money}; {rule}{_allowed(weighed)}", best
        )
    chance = "" if _is_certain(pair.saving) else ", which may be chance"
    held = "; ".join(check.text for check in gate.checks if not check.passed)
    but = judged.clause() if judged.relation != "better" else f"{judged.clause()}, and the project's rule holds it back"
    why = f": {held}" if judged.relation == "better" else ""
    return Advice(f"Keep {base}: {best} {but}{why}, though {money}{chance}{_allowed(weighed)}", base)


def _allowed(weighed: Weighed) -> str:
    """Models that the rule lets take over although the sentence goes another way."""
    names = weighed.may_take_over
    return f"; by the project's rule {' and '.join(names)} may take over all the same" if names else ""


def _by_quality(base: str, weighed: Weighed) -> Advice:
    """When costs are not known: the best by the rule, else how the others stand; and people's time against by hand."""
    allowed = weighed.may_take_over
    values = {name: judged.difference.value or 0.0 for name, judged in weighed.judgements.items()}
    best = max(allowed or values, key=lambda name: values[name], default=None)
    if best is None:
        text = f"{base} stands alone: name another model to compare it with"
    else:
        ranked = [best, *(name for name in allowed if name != best)]
        text = "; ".join(weighed.judgements[name].text() for name in ranked)
    text += "; not every cost is known"
    run = best if best in allowed else None
    used = run or base
    saved = weighed.hours_saved[used]
    hours = f"{fixed(abs(saved.value or 0.0), 1)} hours of people for 1,000 tiles{_interval(saved, 1)}"
    if saved.high is not None and saved.high < 0:
        return Advice(f"{text}; drawing by hand takes {hours} less than reviewing what {used} predicts", None)
    sure = "" if saved.low is not None and saved.low > 0 else ", which may be chance"
    direction = "saves" if (saved.value or 0.0) >= 0 else "takes more than drawing by hand by"
    than = " against drawing by hand" if direction == "saves" else ""
    return Advice(f"{text}; {used} {direction} {hours}{than}{sure}", run)


def _money(saving: Metric, rival: str, volume: int, *, second_is_cheaper: bool) -> str:
    """Saving of the cheaper of two; `saving` is by how much the second costs less than the first."""
    sign = 1 if second_is_cheaper else -1
    value = sign * (saving.value or 0.0)
    amount = usd(value)
    turned = Metric(value, saving.scored, saving.total, *_ends(saving, sign))
    people = ", people's time included"
    if amount.startswith("0.00 "):
        return f"at {volume:,} tiles it costs as much as {rival}{_interval(turned, 0)}{people}"
    return f"at {volume:,} tiles it costs {amount} less{_interval(turned, 0)} than {rival}{people}"


def _ends(metric: Metric, sign: int) -> tuple[float | None, float | None]:
    if metric.low is None or metric.high is None:
        return None, None
    low, high = sorted((sign * metric.low, sign * metric.high))
    return low, high


def _interval(metric: Metric, digits: int) -> str:
    if metric.low is None or metric.high is None:
        return ""
    return f" (95 %: {fixed(metric.low, digits)} to {fixed(metric.high, digits)})"


def _turning(pair: BreakEven, cheaper: str) -> str:
    """The volume at which the cheaper one changes."""
    if pair.tiles is None:
        return ""
    if pair.cheaper == cheaper:
        return f", and pays for itself from {in_tiles(pair.tiles)} on"
    return f", and no longer less from {in_tiles(pair.tiles)} on"


def _doubt(saving: Metric) -> str:
    return "" if _is_certain(saving) else ", though the difference in cost may be chance"


def _is_certain(saving: Metric) -> bool:
    return saving.low is not None and saving.high is not None and (saving.low > 0 or saving.high < 0)


def notes_of(comparison: Comparison, assumptions: "Assumptions", rows: "Sequence[ModelCosts]") -> Iterator[str]:
    """What was assumed, a sentence each."""
    yield f"{assumptions.volume:,} tiles are to be mapped; an hour of review costs {assumptions.wage:,.2f} USD."
    yield _tiles_note(comparison)
    yield from _left_out_notes(comparison)
    yield from truth_notes(comparison)
    if comparison.unsure is not None and len(comparison.unsure):
        features = counted(len(comparison.unsure), "feature")
        yield f"Somebody is unsure of {features} on these tiles: what is predicted there counts neither way."
    yield from cut_notes(comparison)
    for each in comparison.contenders:
        if each.predictions.scores.size > 1 and not each.evaluation.overall.by_score:
            yield f"{each.name} has no ranking, as its scores are equal or absent: no AP, and no curve by score."
    yield (
        f"Two models are called about as good when their difference lies within {assumptions.margin:g} with its whole "
        "interval; a difference that is not shown is not called so."
    )
    yield _speeds_note(assumptions.speeds)
    yield from _corrections(comparison, assumptions)
    yield "A person looks at every tile and every prediction; features that were missed are drawn by hand."
    yield f"Without a model every true feature is drawn: nothing is asked, and the row is called {BY_HAND!r}."
    yield f"Prices are those of {load_prices().date} where no other is given, and are taken as they are."
    if assumptions.machine_hour:
        yield f"An hour of the machine that runs a model of ours costs {assumptions.machine_hour:,.2f} USD."
    for row in rows:
        for reason in row.unknown:
            yield f"{row.model}: {reason}."
    for each in comparison.contenders:
        if each.failures:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in each.failures.items())
            yield f"{each.name} gave no usable answer on some tiles ({kinds}): what is there counts as missed."
    yield _interval_note(comparison)


def _interval_note(comparison: Comparison) -> str:
    if reason := reason_for_none(comparison.contenders[0].evaluation.blocks):
        return f"There are no intervals: the tiles lie in {reason}."
    return "Intervals are 95 %, over split blocks, the same for all models, and what timing people leaves open."


def cut_notes(comparison: Comparison) -> Iterator[str]:
    """Name the models of which only predictions from a score on count, a sentence each."""
    for each in comparison.contenders:
        if each.score_cut is not None:
            yield f"Of {each.name} only predictions with a score of {each.score_cut:g} or more count."


def truth_notes(comparison: Comparison) -> Iterator[str]:
    """Whose predictions the truth was made from, and the quality on blind tiles apart, where there are enough."""
    yield from comparison.origin.sentences()
    blind = comparison.on_blind
    if blind is None:
        return
    where = f"On the {in_tiles(len(blind.tiles))} that are blind alone"
    for each in blind.contenders:
        yield f"{where}, {each.name} has F1 {each.figure('f1').text(percent=False)}."
    for each in blind.whole[1:]:
        difference = blind.difference(blind.whole[0].name, each.name)
        yield f"{where}, {each.name} against {difference.first}: {difference.text()}."


def _left_out_notes(comparison: Comparison) -> Iterator[str]:
    """Finished tiles that do not count, and why."""
    if comparison.left_out:
        finished = len(comparison.tiles) + len(comparison.left_out)
        yield (
            f"{in_tiles(len(comparison.left_out))} of {finished:,} finished ones are left out, as not every model "
            "could be asked about them: they are no empty answers."
        )
    for each in comparison.contenders:
        if each.answers.asked < each.answers.tiles:
            yield f"{each.name} {each.answers.text()}."


def _tiles_note(comparison: Comparison) -> str:
    where = f"of the {comparison.split} split" if comparison.split else "that were chosen"
    area = f"{comparison.km2:,.3g} km2, projected"
    return f"Quality is measured on {in_tiles(len(comparison.tiles))} {where} ({area}), and taken to hold elsewhere."


def _corrections(comparison: Comparison, assumptions: "Assumptions") -> Iterator[str]:
    """How much must be corrected, of each model where that is known, of the others in common."""
    own = {name: assumptions.corrected[name] for name in comparison.names if name in assumptions.corrected}
    for name, share in own.items():
        yield f"Of the predictions of {name} that are kept, {_percent(share)} must be corrected (n {share.scored:,})."
    if len(own) < len(comparison.names):
        share = assumptions.speeds.corrected
        told = f"measured, n {share.scored:,}" if share.scored else "a guess: nobody was timed yet"
        whose = "of the other models" if own else "that are kept"
        yield f"Of the predictions {whose}, {_percent(share)} must be corrected, whatever the model ({told})."


def _percent(share: Metric) -> str:
    return f"{100 * (share.value or 0.0):.0f} %"


def _speeds_note(speeds: Speeds) -> str:
    parts = []
    for name, doing in _DONE.items():
        metric: Metric = getattr(speeds, name)
        told = f"n {metric.scored:,}" if metric.scored else "guessed"
        parts.append(f"{doing} {'a tile' if name == 'tile' else 'a feature'} {metric.value or 0:.1f} s ({told})")
    return f"People's time: {', '.join(parts)}."
