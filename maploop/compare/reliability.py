"""Is a model's score worth its number? Held against people's verdicts: pure functions.

The lower bound of a precision is Clopper and Pearson's (1934), one-sided, at 1 - (1 - confidence) / looks (Bonferroni),
as the lowest of several scores that passes is taken: each is a look of its own. Predictions of one tile tend to be
right or wrong together, so the count is cut by the design effect that they show before (Kish 1965, 5.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maploop.evaluate.layers import Indices
from maploop.quality.statistics import CONFIDENCE, Metric

METHOD = "Clopper-Pearson, one-sided, Bonferroni over looks, design effect of tiles"
BINS = 10


@dataclass(frozen=True)
class Judged:
    """Predictions of a model that people have judged, as parallel columns.

    right       accepted unchanged; a corrected one is not right, as accepting it unseen would keep its fault
    tile        which were judged on the same tile: any numbers
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    class_index: Indices
    tile: Indices

    def __len__(self) -> int:
        return len(self.scores)

    def of_class(self, class_index: int) -> "Judged":
        """Those of one class."""
        chosen = self.class_index == class_index
        return Judged(self.scores[chosen], self.right[chosen], self.class_index[chosen], self.tile[chosen])


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions with a score from `low` up to `high`: what they promised, and which share was right."""

    low: float
    high: float
    mean_score: float | None
    right: Metric


@dataclass(frozen=True)
class Reliability:
    """The curve of a class, or of all (`class_name` None), and the expected calibration error with its interval."""

    class_name: str | None
    judged: int
    tiles: int
    bins: tuple[ReliabilityBin, ...]
    calibration_error: Metric


@dataclass(frozen=True)
class ThresholdLook:
    """Predictions with at least this score: how many were judged, the share that was right, its lower bound."""

    score: float
    precision: Metric
    lower: float


@dataclass(frozen=True)
class Threshold:
    """The lowest score at which the lower bound reaches the wanted precision; `score` None: there is none.

    looks       all scores that were looked at, lowest first
    effect      by how much predictions of one tile are worth less than independent ones
    """

    class_name: str
    wanted: float
    confidence: float
    score: float | None
    precision: Metric
    lower: float | None
    effect: float
    looks: tuple[ThresholdLook, ...]
    method: str = METHOD


def reliability_of(judged: Judged, classes: Sequence[str]) -> Mapping[str | None, Reliability]:
    """Of each class, and of all together (None)."""
    raise NotImplementedError


def choose_threshold(
    judged: Judged, class_name: str, wanted: float, *, confidence: float = CONFIDENCE, other_looks: int = 1
) -> Threshold:
    """The score above which predictions of one class may be accepted unseen; `judged` of that class alone.

    `other_looks`: for how many classes this is asked together. Raises InputError.
    """
    raise NotImplementedError
