"""The relation of two models in one figure: the one source of what sentence, tables and promotion box say of it.

Two models that are "not shown to differ" need not be about as good: that takes a margin, within which a difference does
not matter, and an interval that lies within it (equivalence by two one-sided tests: Schuirmann 1987, Journal of
Pharmacokinetics and Biopharmaceutics 15; with a 95 % interval each test is at 2.5 %).
"""

from dataclasses import dataclass
from typing import Final, Literal

from maploop.compare.sidebyside import FIGURE_NAMES, Difference

Relation = Literal["better", "worse", "equivalent", "not_shown", "not_compared"]

# Figures of which more is better, between 0 and 1: those that a verdict can go by.
QUALITIES: Final = (
    "f1", "precision", "recall", "mean_iou", "ap50", "ap", "completeness", "correctness", "quality",
)  # fmt: skip
MARGIN: Final = 0.02


@dataclass(frozen=True)
class Judgement:
    """How the second model of a difference stands to the first, and the margin within which that does not matter."""

    difference: Difference
    margin: float
    relation: Relation

    def clause(self) -> str:
        """Say it of the second model, as part of a sentence that has named the first: `is better (+0.12 F1, ...)`."""
        return f"{self._words()} ({self.difference.text()})"

    def text(self) -> str:
        """Say it in a sentence without its full stop: `tuned is better than base (+0.12 F1, ...)`."""
        link = {"better": " than", "worse": " than", "equivalent": " as", "not_shown": " from"}.get(
            self.relation, " with"
        )
        words, rest = self._words(), ""
        if self.relation == "equivalent":
            words, rest = "is about as good", f" within {self.margin:g}"
        return f"{self.difference.second} {words}{link} {self.difference.first}{rest} ({self.difference.text()})"

    def _words(self) -> str:
        return {
            "better": "is better",
            "worse": "is worse",
            "equivalent": f"is about as good within {self.margin:g}",
            "not_shown": "is not shown to differ",
            "not_compared": "cannot be compared",
        }[self.relation]


def judge(difference: Difference, margin: float = MARGIN) -> Judgement:
    """Read a difference with its interval. Without an interval nothing is shown."""
    low, high = difference.low, difference.high
    relation: Relation = "not_shown"
    if difference.value is None:
        relation = "not_compared"
    elif low is not None and high is not None:
        if low > 0 or high < 0:
            relation = "better" if low > 0 else "worse"
        elif -margin <= low and high <= margin:
            relation = "equivalent"
    return Judgement(difference, margin, relation)


def figure_name(figure: str) -> str:
    """The name of a figure as people know it: `F1`."""
    return FIGURE_NAMES.get(figure, figure)
