"""May a candidate take over? The project's rule, held against the differences to the current model: pure."""

from dataclasses import dataclass

from maploop.compare.sidebyside import Contender, Difference


@dataclass(frozen=True)
class GateRule:
    """A project's rule, from its settings.

    metric          the figure that counts, over all classes
    margin          by how much the candidate must be better; the lower end of the interval must reach it
    confidence      of that interval, two-sided
    class_loss      no class may lose more of the figure than this
    """

    metric: str = "f1"
    margin: float = 0.0
    confidence: float = 0.95
    class_loss: float = 0.05

    def text(self) -> str:
        """The rule in a sentence."""
        raise NotImplementedError


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
        raise NotImplementedError


def hold_to(rule: GateRule, candidate: Contender, current: Contender | None) -> Gate:
    """Hold a candidate to the rule; both evaluated on the same tiles."""
    raise NotImplementedError
