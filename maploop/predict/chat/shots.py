"""Which examples a tile is shown with: the same for all, or those that look most like it."""

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maploop.contract import Contract, picture_of
from maploop.errors import ConflictError, ImageryError, LicenceError
from maploop.imagery.cache import MemoryCache
from maploop.imagery.tilemath import Tile
from maploop.predict.chat.shown import Example, Pool
from maploop.predict.embedding import Eyes, most_alike
from maploop.predict.predictor import Assignment, Failure

Shot = tuple[bytes, str]
_PICTURE_BYTES = 64_000_000


def tile_picture(tile: Tile, assignment: Assignment, contract: Contract) -> bytes | Failure:
    """Render a tile as the contract wants it, or say why the model cannot be shown it. Raises ImageryError."""
    try:
        source = assignment.source_of(tile)
    except LicenceError as error:
        return Failure("licence", str(error))
    return (
        Failure("imagery", "The tile has no imagery any more.")
        if source is None
        else picture_of(source, tile, contract)
    )


class Shots(Protocol):
    """Examples for tiles; safe to use from many threads."""

    @property
    def examples(self) -> Sequence[Tile]:
        """The tiles that may be shown."""
        ...

    def of(self, tile: Tile, assignment: Assignment) -> Sequence[Shot]:
        """Pictures with their answers, never the tile itself among them. Raises ImageryError, ConflictError."""
        ...


class NoShots:
    """Nothing is shown."""

    examples: Sequence[Tile] = ()

    def of(self, tile: Tile, assignment: Assignment) -> Sequence[Shot]:
        return ()


class SameShots:
    """The first examples of a pool, for every tile."""

    def __init__(self, pool: Pool, count: int, contract: Contract) -> None:
        self._pool = pool
        self._count = count
        self._pictures = _Pictures(contract)

    @property
    def examples(self) -> Sequence[Tile]:
        """All of the pool."""
        return [each.tile for each in self._pool.examples]

    def of(self, tile: Tile, assignment: Assignment) -> Sequence[Shot]:
        others = [each for each in self._pool.examples if each.tile != tile]
        return [self._pictures.shot(each, assignment) for each in others[: self._count]]


class AlikeShots:
    """The examples of a pool that look most like the tile, the most alike last, next to the question."""

    def __init__(self, pool: Pool, count: int, contract: Contract, eyes: Eyes) -> None:
        self._examples = pool.examples
        self._count = count
        self._eyes = eyes
        self._size = contract.image_size
        self._pictures = _Pictures(contract)
        self._looks: NDArray[np.float32] | None = None
        self._lock = threading.Lock()

    @property
    def examples(self) -> Sequence[Tile]:
        """All of the pool."""
        return [each.tile for each in self._examples]

    def of(self, tile: Tile, assignment: Assignment) -> Sequence[Shot]:
        looks = self._looks_of_all(assignment)
        source = assignment.source_of(tile)
        if source is None:
            return ()
        itself = [index for index, each in enumerate(self._examples) if each.tile == tile]
        best = most_alike(self._eyes.look(source, tile, self._size), looks, self._count, without=itself)
        return [self._pictures.shot(self._examples[index], assignment) for index in reversed(best)]

    def _looks_of_all(self, assignment: Assignment) -> NDArray[np.float32]:
        """A row for each example."""
        with self._lock:
            if self._looks is None:
                rows = []
                for each in self._examples:
                    source = assignment.source_of(each.tile)
                    if source is None:
                        raise ConflictError(_gone(each))
                    rows.append(self._eyes.look(source, each.tile, self._size))
                self._looks = np.stack(rows)
            return self._looks


class _Pictures:
    """Pictures of examples, the latest used kept in memory."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._kept = MemoryCache(_PICTURE_BYTES)

    def shot(self, example: Example, assignment: Assignment) -> Shot:
        """Raises ConflictError when the pixels are not those that were reviewed any more, and LicenceError."""
        key = str(example.tile)
        source = assignment.source_of(example.tile)  # also for a kept picture: it may not leave any more
        picture = self._kept.get(key)
        if picture is None:
            if source is None or source.fingerprint != example.fingerprint:
                raise ConflictError(_gone(example))
            try:
                picture = picture_of(source, example.tile, self._contract)
            except ImageryError as error:
                msg = f"The example {example.tile} cannot be shown: {error}"
                raise ImageryError(msg) from error
            self._kept.put(key, picture)
        return picture, example.answer


def _gone(example: Example) -> str:
    return f"The imagery of the example {example.tile} has changed since the run began: begin a new run."
