"""Features of a comparison as a map shows them: found, missed, false, by whom; and the tiles that went worst."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shapely.geometry.base import BaseGeometry

from maploop.compare.sidebyside import Comparison
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
    """Everything on a tile, or on several: of the models named, or of all."""
    raise NotImplementedError


def only_found_by(comparison: Comparison, finder: str, other: str) -> list[TruthMark]:
    """True features that one model found and the other did not, tile by tile."""
    raise NotImplementedError


def only_predicted_by(comparison: Comparison, predictor: str, other: str) -> list[PredictionMark]:
    """What one model predicted and the other did not, right or wrong, tile by tile: matched as with truth."""
    raise NotImplementedError


def worst_tiles(
    comparison: Comparison, model: str, *, against: str | None = None, most: int | None = None
) -> list[TileMarks]:
    """Tiles by how many errors the model made, most first; with `against`, by how many more than that model.

    Only tiles with an error, or with more of them than the other.
    """
    raise NotImplementedError
