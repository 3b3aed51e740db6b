"""May a candidate take over? The project's rule, held against the differences to the current model: pure."""

from dataclasses import dataclass

from maploop.compare.sidebyside import FIGURE_NAMES, Contender, Difference, difference_of


@dataclass(frozen=True)
class GateRule:
    """A project's rule, from its settings.

    metric          the figure that counts, over all classes
    margin          by how much the candidate must be better; the lower end of the interval must reach it
    confidence      of that interval, two-sided
    class_loss      no class may lose more of the figure than this, as measured
    """

    metric: str = "f1"
    margin: float = 0.0
    confidence: float = 0.95
    class_loss: float = 0.05

    def text(self) -> str:
        """The rule in a sentence."""
        name = FIGURE_NAMES[self.metric]
        better = f" by at least {self.margin:g}" if self.margin else ""
        return (
            f"A model takes over when its {name} on the test split is better{better}, with {100 * self.confidence:g} % "
            f"confidence, and no class loses more than {self.class_loss:g}."
        )


@dataclass(frozen=True)
class GateCheck:
    """One thing the rule asks for, whether it holds, and in a sentence what was found."""

    name: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Gate:
    """What came out: passed when every check is; `difference` is None when there is no current model to beat."""

    rule: GateRule
    candidate: str
    current: str | None
    passed: bool
    checks: tuple[GateCheck, ...]
    difference: Difference | None

    def text(self) -> str:
        """In one sentence, why or why not."""
        told = "; ".join(check.text for check in self.checks if self.passed or not check.passed)
        return f"{self.candidate} {'may take over' if self.passed else 'may not take over'}: {told}."


def hold_to(rule: GateRule, candidate: Contender, current: Contender | None) -> Gate:
    """Hold a candidate to the rule; both evaluated on the same tiles."""
    if lacking := [each for each in (candidate, current) if each is not None and not each.is_whole]:
        told = " and ".join(f"{each.name} {each.answers.text()}, too few for a verdict" for each in lacking)
        name = None if current is None else current.name
        return Gate(rule, candidate.name, name, False, (GateCheck("answered", False, told),), None)
    if current is None:
        figure = candidate.figure(rule.metric)
        measured = figure.value is not None
        told = "there is no current model to beat" if measured else "nothing could be measured on the test split"
        return Gate(rule, candidate.name, None, measured, (GateCheck("measured", measured, told),), None)
    difference = difference_of(current, candidate, rule.metric, confidence=rule.confidence)
    checks = [_better(rule, difference)]
    for name in candidate.evaluation.classes:
        loss = difference_of(current, candidate, rule.metric, name, confidence=rule.confidence)
        if loss.value is not None:
            passed = loss.value >= -rule.class_loss
            checks.append(GateCheck(name, passed, f"{name} {loss.text()}"))
    passed = all(check.passed for check in checks)
    return Gate(rule, candidate.name, current.name, passed, tuple(checks), difference)


def _better(rule: GateRule, difference: Difference) -> GateCheck:
    """The lower end must be above 0, and reach the margin."""
    low = difference.low
    passed = low is not None and low > 0 and low >= rule.margin
    return GateCheck("better", passed, f"{difference.text()} against {difference.first}")
