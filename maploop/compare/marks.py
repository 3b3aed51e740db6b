"""Features of a comparison as a map shows them: found, missed, false, by whom; and the tiles that went worst."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.compare.sidebyside import Comparison, Contender
from maploop.evaluate.layers import Indices
from maploop.evaluate.matching import NOTHING, hold_against
from maploop.imagery.tilemath import Tile

Fate = Literal["true", "false", "wrong_class"]


@dataclass(frozen=True)
class TruthMark:
    """A true feature, cut at its tile, and which of the models found it."""

    tile: Tile
    class_name: str
    geometry: BaseGeometry
    found_by: tuple[str, ...]
    missed_by: tuple[str, ...]


@dataclass(frozen=True)
class PredictionMark:
    """What a model predicted, cut at its tile.

    fate        true: stands for a true feature of its class; wrong_class: for one of another class (`true_class`)
    quality     of the pair, 0 to 1: IoU of polygons; see `evaluate.pairs.Pairs`
    """

    tile: Tile
    model: str
    class_name: str
    geometry: BaseGeometry
    score: float | None
    fate: Fate
    quality: float
    true_class: str | None


@dataclass(frozen=True)
class Marks:
    """Truth and predictions of some tiles."""

    truth: tuple[TruthMark, ...]
    predictions: tuple[PredictionMark, ...]


@dataclass(frozen=True)
class TileMarks:
    """How a tile went: by model found, false and missed features; `failed`: models without a usable answer there."""

    tile: Tile
    counts: Mapping[str, tuple[int, int, int]]
    failed: tuple[str, ...]

    def errors(self, model: str) -> int:
        """False and missed ones."""
        _, false, missed = self.counts[model]
        return false + missed


def marks_on(comparison: Comparison, tiles: Tile | Iterable[Tile], models: Sequence[str] | None = None) -> Marks:
    """Everything on a tile, or on several: of the models named, or of all. Raises NotFoundError."""
    wanted = [tiles] if isinstance(tiles, Tile) else list(tiles)
    places = [comparison.place_of[tile] for tile in wanted if tile in comparison.place_of]
    chosen = [comparison.contender(name) for name in models or comparison.names]
    truth = comparison.truth
    return Marks(
        truth=_truth_marks(comparison, np.flatnonzero(np.isin(truth.tile, places)), chosen),
        predictions=tuple(
            mark
            for each in chosen
            for mark in _prediction_marks(comparison, each, np.flatnonzero(np.isin(each.predictions.tile, places)))
        ),
    )


def only_found_by(comparison: Comparison, finder: str, other: str) -> list[TruthMark]:
    """True features that one model found and the other did not, tile by tile. Raises NotFoundError."""
    pair = [comparison.contender(name) for name in (finder, other)]
    truths = len(comparison.truth)
    rows = np.flatnonzero(pair[0].found(truths) & ~pair[1].found(truths))
    return list(_truth_marks(comparison, rows[np.argsort(comparison.truth.tile[rows], kind="stable")], pair))


def only_predicted_by(comparison: Comparison, predictor: str, other: str) -> list[PredictionMark]:
    """What one model predicted and the other did not, right or wrong, tile by tile: matched as with truth.

    Raises NotFoundError.
    """
    mine, theirs = comparison.contender(predictor), comparison.contender(other)
    types = list(comparison.classes.values())
    met = hold_against(mine.predictions, theirs.predictions, types, comparison.rules, within_tiles=True)
    rows = np.flatnonzero(met.found == NOTHING)
    rows = rows[np.argsort(mine.predictions.tile[rows], kind="stable")]
    return list(_prediction_marks(comparison, mine, rows))


def worst_tiles(
    comparison: Comparison, model: str, *, against: str | None = None, most: int | None = None
) -> list[TileMarks]:
    """Tiles by how many errors the model made, most first; with `against`, by how many more than that model.

    Only tiles with an error, or with more of them than the other. Raises NotFoundError.
    """
    errors = _errors(comparison.contender(model))
    if against is not None:
        errors = errors - _errors(comparison.contender(against))
    order = np.argsort(-errors, kind="stable")
    return [_tile_marks(comparison, place) for place in order[errors[order] > 0].tolist()[:most]]


def _errors(contender: Contender) -> NDArray[np.float64]:
    return np.asarray(contender.detail.counts[:, 1:].sum(axis=1))


def _tile_marks(comparison: Comparison, place: int) -> TileMarks:
    counts: dict[str, tuple[int, int, int]] = {}
    for each in comparison.contenders:
        found, false, missed = each.detail.counts[place].astype(int).tolist()
        counts[each.name] = found, false, missed
    failed = tuple(each.name for each in comparison.contenders if each.failed[place])
    return TileMarks(comparison.tiles[place], counts, failed)


def _truth_marks(comparison: Comparison, rows: Indices, models: Sequence[Contender]) -> tuple[TruthMark, ...]:
    truth, names = comparison.truth, list(comparison.classes)
    found = {each.name: each.found(len(truth)) for each in models}
    return tuple(
        TruthMark(
            tile=comparison.tiles[int(truth.tile[row])],
            class_name=names[int(truth.class_index[row])],
            geometry=truth.geometries[row],
            found_by=tuple(name for name, each in found.items() if each[row]),
            missed_by=tuple(name for name, each in found.items() if not each[row]),
        )
        for row in rows.tolist()
    )


def _prediction_marks(comparison: Comparison, model: Contender, rows: Indices) -> tuple[PredictionMark, ...]:
    layer, outcome, names = model.predictions, model.detail.outcome, list(comparison.classes)

    def mark(row: int) -> PredictionMark:
        stands_for = int(outcome.found[row])
        taken_for = stands_for if stands_for != NOTHING else int(outcome.found_any[row])
        true_class = None if taken_for == NOTHING else names[int(comparison.truth.class_index[taken_for])]
        own = names[int(layer.class_index[row])]
        fate: Fate = "true" if stands_for != NOTHING else "wrong_class" if true_class not in (None, own) else "false"
        score = float(layer.scores[row])
        return PredictionMark(
            tile=comparison.tiles[int(layer.tile[row])],
            model=model.name,
            class_name=own,
            geometry=layer.geometries[row],
            score=None if np.isnan(score) else score,
            fate=fate,
            quality=float(outcome.quality[row]),
            true_class=None if fate == "false" else true_class,
        )

    return tuple(mark(row) for row in rows.tolist())
