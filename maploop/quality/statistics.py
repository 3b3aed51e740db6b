"""Rates, agreement and sample sizes: pure functions. Every figure carries its own denominator and interval."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from maploop.errors import InputError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Metric:
    """A figure that says what it rests on.

    value       None when nothing could be scored
    scored      how many items went into the value
    total       how many there were; the rest could not be scored
    low, high   confidence interval; None where there is none
    tiles       on how many tiles; None where tiles are not what it was measured on
    blocks      on how many split blocks with something to score; the interval is taken over these
    reason      why there is no interval, in words (`one block`); empty where there is one, or none is to be expected
    """

    value: float | None
    scored: int
    total: int
    low: float | None = None
    high: float | None = None
    tiles: int | None = None
    blocks: int | None = None
    reason: str = ""

    def text(self, *, percent: bool = True) -> str:
        """The figure as people read it: `4.0 % (1.6 to 9.8, n 100)`, or `4.0 % (no interval: one block, n 100)`."""
        if self.value is None:
            return "–"
        scale, digits, unit = (100, 1, " %") if percent else (1, 2, "")
        interval = f"no interval: {self.reason}, " if self.reason else ""
        if self.low is not None and self.high is not None:
            interval = f"{self.low * scale:.{digits}f} to {self.high * scale:.{digits}f}, "
        return f"{self.value * scale:.{digits}f}{unit} ({interval}n {self.scored})"


def wilson_interval(successes: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion; 0 to 1 when nothing was tried. Raises InputError.

    Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22; as scipy computes it.
    It takes the trials as independent: for what lies on tiles, where features tend to go wrong together, use
    `intervals.share_by_block`.
    """
    _check_confidence(confidence)
    if not 0 <= successes <= n:
        msg = f"{successes} of {n} is not a proportion: successes lie between 0 and the number of trials."
        raise InputError(msg)
    if n == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def proportion(successes: int, scored: int, total: int | None = None, confidence: float = CONFIDENCE) -> Metric:
    """A proportion with Wilson's interval; without a value when nothing was scored."""
    total = scored if total is None else total
    if scored == 0:
        return Metric(None, 0, total)
    return Metric(successes / scored, scored, total, *wilson_interval(successes, scored, confidence))


def mean(values: Sequence[float] | NDArray[np.float64], total: int | None = None) -> Metric:
    """The mean of values in 0 to 1 with Student's 95 % interval, cut to that range; no interval below two values."""
    array = np.asarray(values, dtype=float)
    n = len(array)
    total = n if total is None else total
    if n == 0:
        return Metric(None, 0, total)
    value = float(array.mean())
    if n == 1:
        return Metric(value, 1, total)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * array.std(ddof=1) / math.sqrt(n))
    return Metric(value, n, total, max(0.0, value - half), min(1.0, value + half))


def sample_size_for(margin: float, population: int, expected_rate: float = 0.5, confidence: float = CONFIDENCE) -> int:
    """How many of `population` to look at so that a rate is known within +-`margin`. Raises InputError.

    Cochran, Sampling Techniques (1977), 4.4: n0 = z^2 p (1 - p) / margin^2, with the finite population correction
    n = n0 / (1 + (n0 - 1) / N), rounded up.
    """
    _check_confidence(confidence)
    if not 0 < margin < 1:
        msg = f"{margin:g} is not a margin: use a number between 0 and 1, for example 0.05."
        raise InputError(msg)
    if not 0 <= expected_rate <= 1:
        msg = f"{expected_rate:g} is not an expected rate: use a number from 0 to 1."
        raise InputError(msg)
    if population <= 0:
        return 0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    unlimited = max(1.0, z**2 * expected_rate * (1 - expected_rate) / margin**2)
    corrected = unlimited / (1 + (unlimited - 1) / population)
    return min(population, math.ceil(corrected - 1e-9))


def margin_for(n: float, population: int, expected_rate: float = 0.5, confidence: float = CONFIDENCE) -> float:
    """Half the width of the interval that looking at `n` of `population` gives: the inverse of `sample_size_for`."""
    if n <= 0:
        return 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    left = max(0.0, (population - n) / (population - 1)) if population > 1 else 0.0
    return min(1.0, z * math.sqrt(expected_rate * (1 - expected_rate) / n * left))


def design_effect(cluster_size: float, correlation: float) -> float:
    """By how much items that come in clusters are worth less than as many drawn one by one.

    Kish, Survey Sampling (1965), 5.4: 1 + (m - 1) rho, for m items a cluster and their intra-cluster correlation rho.
    """
    return 1 + max(0.0, cluster_size - 1) * correlation


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> Metric:
    """Agreement of two people on the same items beyond chance, nominal labels, with a 95 % interval.

    Cohen (1960), A coefficient of agreement for nominal scales. Interval: the large-sample standard error of Fleiss,
    Cohen and Everitt (1969), eq. 13. Without a value when both used one and the same label only.
    """
    if len(first) != len(second):
        msg = f"Labels must come in pairs: {len(first)} against {len(second)}."
        raise InputError(msg)
    n = len(first)
    labels = {label: index for index, label in enumerate(dict.fromkeys([*first, *second]))}
    if len(labels) < 2:
        return Metric(None, 0, n)
    table = np.zeros((len(labels), len(labels)))
    np.add.at(table, ([labels[each] for each in first], [labels[each] for each in second]), 1 / n)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed, expected = float(np.trace(table)), float(rows @ columns)
    kappa = (observed - expected) / (1 - expected)
    diagonal = np.diag(table) @ ((1 - expected) - (rows + columns) * (1 - observed)) ** 2
    weights = (rows[None, :] + columns[:, None]) ** 2  # of cell i, j: (p_j. + p_.i)^2
    off_diagonal = (1 - observed) ** 2 * float((table * weights).sum() - np.diag(table) @ np.diag(weights))
    variance = (diagonal + off_diagonal - (observed * expected - 2 * expected + observed) ** 2) / (
        n * (1 - expected) ** 4
    )
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(max(0.0, float(variance)))
    return Metric(kappa, n, n, max(-1.0, kappa - half), min(1.0, kappa + half))


def krippendorff_alpha(units: Sequence[Mapping[Any, Hashable]]) -> Metric:
    """Agreement of any number of people beyond chance, nominal labels; each unit maps people to labels, some missing.

    Krippendorff (2011), Computing Krippendorff's alpha-reliability, section D. Units with fewer than two labels count
    in `total` only. Without a value when fewer than two labels were ever used. No interval: it has no closed form.
    """
    paired = [list(unit.values()) for unit in units if len(unit) >= 2]
    labels = {label: index for index, label in enumerate(dict.fromkeys(each for unit in paired for each in unit))}
    if len(labels) < 2:
        return Metric(None, 0, len(units))
    coincidences = np.zeros((len(labels), len(labels)))
    for unit in paired:
        counts = np.bincount([labels[each] for each in unit], minlength=len(labels)).astype(float)
        coincidences += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    totals = coincidences.sum(axis=1)
    n = float(totals.sum())
    observed = n - float(np.trace(coincidences))
    expected = (n**2 - float(totals @ totals)) / (n - 1)
    return Metric(1 - observed / expected, len(paired), len(units))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        msg = f"{confidence:g} is not a confidence: use a number between 0 and 1, for example 0.95."
        raise InputError(msg)
