"""Answers of a model tile by tile: usable ones, failures, and tiles that it could not be asked about."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from maploop.evaluate.layers import Indices, Layer

NO_RUN: Final = -1


class TileState(IntEnum):
    """The state of a tile for one model. Only the first two are answers of the model, to be measured.

    ANSWERED            a usable answer, which may be empty
    FAILED              asked, without a usable answer: everything there counts as missed
    NOT_ASKED           no run asked for it, or has not come to it yet
    NO_PIXELS           its imagery did not come, or there is none
    LICENCE_REFUSED     the licence of its imagery does not let it leave
    """

    ANSWERED = 0
    FAILED = 1
    NOT_ASKED = 2
    NO_PIXELS = 3
    LICENCE_REFUSED = 4


States = NDArray[np.int8]
_STATE_OF_FAILURE: Final = {  # `RunTile.failure`; every other kind is a failure of the model or its server
    "imagery": TileState.NO_PIXELS,
    "no_pixels": TileState.NO_PIXELS,
    "licence": TileState.LICENCE_REFUSED,
    "waiting": TileState.NOT_ASKED,
}


def state_of(status: str, failure: str | None) -> TileState:
    """Read the row of a tile in a run, by its status and kind of failure."""
    if status == "ok":
        return TileState.ANSWERED
    if status != "failed":
        return TileState.NOT_ASKED
    return _STATE_OF_FAILURE.get(failure or "", TileState.FAILED)


@dataclass(frozen=True)
class AnswerCounts:
    """Tiles by state; `tiles` is their sum."""

    answered: int = 0
    failed: int = 0
    not_asked: int = 0
    no_pixels: int = 0
    licence_refused: int = 0

    @staticmethod
    def of(states: States) -> "AnswerCounts":
        """Count the states of tiles."""
        return AnswerCounts(*(int((states == each).sum()) for each in TileState))

    @property
    def tiles(self) -> int:
        """All of them."""
        return self.asked + self.not_asked + self.no_pixels + self.licence_refused

    @property
    def asked(self) -> int:
        """Tiles with an answer of the model, usable or not."""
        return self.answered + self.failed

    @property
    def share(self) -> float:
        """Share of the tiles with a usable answer, 0 to 1."""
        return self.answered / self.tiles if self.tiles else 0.0

    def to_json(self) -> dict[str, int]:
        """By name, as the CLI prints it."""
        return {
            "asked": self.asked,
            "answered": self.answered,
            "failed": self.failed,
            "not_asked": self.not_asked,
            "no_pixels": self.no_pixels,
            "licence_refused": self.licence_refused,
        }

    def text(self) -> str:
        """In words, only what there is: `answered 17 of 20 tiles, failed on 1, 2 not asked`."""
        parts = [f"answered {self.answered:,} of {self.tiles:,} tiles"]
        parts += [f"failed on {self.failed:,}"] if self.failed else []
        parts += [f"{self.not_asked:,} not asked"] if self.not_asked else []
        parts += [f"{self.no_pixels:,} without pixels"] if self.no_pixels else []
        parts += [f"{self.licence_refused:,} refused by licence"] if self.licence_refused else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Answers:
    """A model's answers on the tiles of an evaluation.

    states          of each tile, a `TileState`
    run             of each tile, the run that answered (`NO_RUN`: none was asked)
    failures        tiles without a usable answer, by kind: refused, malformed, ...
    runs            those that answered; the newest, when none did
    prompt_hashes   of these
    predictions     of the run that answered for the tile
    """

    states: States
    run: Indices
    failures: dict[str, int]
    runs: list[int]
    prompt_hashes: list[str]
    predictions: Layer

    @property
    def counts(self) -> AnswerCounts:
        """Tiles by state."""
        return AnswerCounts.of(self.states)

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Tiles with an answer of the model, usable or not: those that count."""
        return np.asarray(self.states <= TileState.FAILED)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Tiles where the model was asked and gave no usable answer."""
        return np.asarray(self.states == TileState.FAILED)

    def from_score(self, score: float | None) -> "Answers":
        """The answers with only those predictions that have at least a score, or none at all; None: all of them."""
        if score is None:
            return self
        scores = self.predictions.scores
        return replace(self, predictions=self.predictions.only(np.isnan(scores) | (scores >= score)))

    def only(self, kept: NDArray[np.bool_]) -> "Answers":
        """The answers on some of the tiles, which are numbered anew; `failures` stay those of all."""
        return Answers(
            self.states[kept],
            self.run[kept],
            self.failures,
            self.runs,
            self.prompt_hashes,
            on_tiles(self.predictions, kept),
        )


def on_tiles(layer: Layer, kept: NDArray[np.bool_]) -> Layer:
    """The features on some of the tiles, which are numbered anew."""
    there = layer.only(kept[layer.tile])
    return there.moved(np.cumsum(kept)[there.tile] - 1)


def basis_json(counts: AnswerCounts) -> dict[str, Any]:
    """The counts as an evaluation keeps them beside its figures."""
    return {"tiles_not_asked": counts.not_asked, "answers": counts.to_json()}
