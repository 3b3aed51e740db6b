"""How long reviewing a tile takes, by what is right, false and missing on it: as measured, and as drawn."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maploop.compare.spending import Speeds
from maploop.quality.statistics import Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pace:
    """Seconds by kind of decision: one number each, or one for every resample."""

    keep: Floats
    reject: Floats
    add: Floats
    tile: Floats

    def review(self, counts: Floats) -> Floats:
        """Seconds a tile, from found, false and missed features a tile, in the last place."""
        found, false, missed = counts[..., 0], counts[..., 1], counts[..., 2]
        return np.asarray(found * self.keep + false * self.reject + missed * self.add + self.tile)

    def by_hand(self, counts: Floats) -> Floats:
        """Seconds a tile when everything is drawn."""
        return np.asarray((counts[..., 0] + counts[..., 2]) * self.add + self.tile)


def pace_of(speeds: Speeds, corrected: Metric | None) -> Pace:
    """As measured; `corrected`: the share that had to be corrected of what was kept of this very model."""
    return _pace(speeds, lambda metric: np.array(metric.value or 0.0), corrected or speeds.corrected, None)


def drawn_paces(speeds: Speeds, corrected: Metric | None, model: str, resamples: int) -> Pace:
    """For every resample what the measurement leaves open; a guess stays what it is.

    Speeds are drawn the same for all models, as is the share of corrections that they have in common.
    """
    generator, own = np.random.default_rng(0), np.random.default_rng(zlib.crc32(model.encode()))

    def drawn(metric: Metric, source: np.random.Generator = generator) -> Floats:
        half = 0.0 if metric.low is None or metric.high is None else (metric.high - metric.low) / 2
        return np.maximum(source.normal(metric.value or 0.0, half / 1.96, resamples), 0.0)

    return _pace(speeds, drawn, speeds.corrected, None if corrected is None else drawn(corrected, own))


def _pace(speeds: Speeds, drawn: Callable[[Metric], Floats], corrected: Metric, own: Floats | None) -> Pace:
    """Keeping a prediction is accepting it, or correcting it as often as people had to."""
    common = drawn(corrected)
    share = np.minimum(common if own is None else own, 1.0)
    accept, correct, reject, add, tile = (
        drawn(each) for each in (speeds.accept, speeds.correct, speeds.reject, speeds.add, speeds.tile)
    )
    return Pace(np.asarray(share * correct + (1 - share) * accept), reject, add, tile)
