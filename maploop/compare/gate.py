"""May a candidate take over? The project's rule, held against the differences to the current model: pure.

Who chooses often on the same test tiles promotes by luck in the end. So the chance of error is spent over the
candidates that were ever measured on the test split: the first is held to the rule's own two-sided interval, which
leaves half of 1 - confidence to a false promotion, the k-th to 1 / (k (k + 1)) of that. However many come, the sum
stays below three quarters of 1 - confidence; the rest is left for intervals over few blocks, which err somewhat more
often than they say. Alpha spending by a convergent series with Bonferroni's inequality: Foster and Stine (2008),
Alpha-investing, section 2. `python -m bench.coverage` measures how often the gate errs.
"""

from dataclasses import dataclass

from maploop.compare.sidebyside import FIGURE_NAMES, Contender, Difference, difference_of


@dataclass(frozen=True)
class GateRule:
    """A project's rule, from its settings.

    metric          the figure that counts, over all classes
    margin          by how much the candidate must be better; the lower end of the interval must reach it
    confidence      of that interval, two-sided
    class_loss      no class may lose more of the figure than this, as measured
    blocks          how many split blocks the difference must rest on at least
    """

    metric: str = "f1"
    margin: float = 0.0
    confidence: float = 0.95
    class_loss: float = 0.05
    blocks: int = 5

    def confidence_of(self, tries: int) -> float:
        """The two-sided confidence that the `tries`-th candidate on a test split is held to; 1: the rule's own."""
        return 1 - (1 - self.confidence) / (tries * (tries + 1) if tries > 1 else 1)

    def text(self) -> str:
        """The rule in a sentence."""
        name = FIGURE_NAMES[self.metric]
        better = f" by at least {self.margin:g}" if self.margin else ""
        return (
            f"A model takes over when its {name} on the test split is better{better}, with {100 * self.confidence:g} % "
            f"confidence, over {self.blocks} split blocks or more, and no class loses more than {self.class_loss:g}. "
            "Each further candidate measured on the same test split needs more confidence."
        )


@dataclass(frozen=True)
class GateCheck:
    """One thing the rule asks for, whether it holds, and in a sentence what was found."""

    name: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Gate:
    """What came out: passed when every check is; `difference` is None when there is no current model to beat.

    tries       how many candidates were measured on the test split by now, this one counted
    """

    rule: GateRule
    candidate: str
    current: str | None
    passed: bool
    checks: tuple[GateCheck, ...]
    difference: Difference | None
    tries: int = 1

    def text(self) -> str:
        """In one sentence, why or why not."""
        told = "; ".join(check.text for check in self.checks if self.passed or not check.passed)
        return f"{self.candidate} {'may take over' if self.passed else 'may not take over'}: {told}."


def hold_to(rule: GateRule, candidate: Contender, current: Contender | None, tries: int = 1) -> Gate:
    """Hold a candidate to the rule; both evaluated on the same tiles, `tries` candidates by now, this one counted."""
    if lacking := [each for each in (candidate, current) if each is not None and not each.is_whole]:
        told = " and ".join(f"{each.name} {each.answers.text()}, too few for a verdict" for each in lacking)
        name = None if current is None else current.name
        return Gate(rule, candidate.name, name, False, (GateCheck("answered", False, told),), None, tries)
    if current is None:
        figure = candidate.figure(rule.metric)
        measured = figure.value is not None
        told = "there is no current model to beat" if measured else "nothing could be measured on the test split"
        return Gate(rule, candidate.name, None, measured, (GateCheck("measured", measured, told),), None, tries)
    confidence = rule.confidence_of(tries)
    difference = difference_of(current, candidate, rule.metric, confidence=confidence)
    checks = [*_enough_blocks(rule, difference), _better(rule, difference, tries, confidence)]
    for name in candidate.evaluation.classes:
        loss = difference_of(current, candidate, rule.metric, name, confidence=confidence)
        if loss.value is not None:
            passed = loss.value >= -rule.class_loss
            checks.append(GateCheck(name, passed, f"{name} {loss.text()}"))
    passed = all(check.passed for check in checks)
    return Gate(rule, candidate.name, current.name, passed, tuple(checks), difference, tries)


def _enough_blocks(rule: GateRule, difference: Difference) -> list[GateCheck]:
    """Nothing where there are enough; else the check that fails."""
    if difference.value is None or difference.blocks >= rule.blocks:
        return []
    blocks = "1 split block" if difference.blocks == 1 else f"{difference.blocks} split blocks"
    told = f"the finished test tiles lie in {blocks}, and {rule.blocks} are needed: finish test tiles elsewhere"
    return [GateCheck("blocks", False, told)]


def _better(rule: GateRule, difference: Difference, tries: int, confidence: float) -> GateCheck:
    """The lower end must be above 0, and reach the margin."""
    low = difference.low
    passed = low is not None and low > 0 and low >= rule.margin
    told = f"{difference.text()} against {difference.first}"
    if tries > 1:
        told += f", at {100 * confidence:.4g} % confidence, as it is candidate {tries} on this test split"
    return GateCheck("better", passed, told)
