"""The port of everything that predicts: tiles in, features out, with what it cost and why some tiles failed."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.errors import ConflictError
from maploop.imagery.info import ImagerySource
from maploop.imagery.tilemath import Tile

FailureKind = Literal[
    "imagery",  # the pixels cannot be read
    "refused",  # the model will not answer
    "truncated",  # the answer stops before its end
    "malformed",  # the answer does not fit the contract
    "rate_limit",  # the server has had enough, for longer than we wait
    "timeout",
    "server",  # the server failed
    "unreachable",  # no server there
    "waiting",  # another model is to predict the tile first
    "licence",  # the terms of the imagery do not allow it to be sent there
]


@dataclass(frozen=True, slots=True)
class FoundFeature:
    """One feature a model found: class name, geometry in EPSG:4326, score 0 to 1 where the model has one."""

    class_name: str
    geometry: BaseGeometry
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used, as the server reported it: tokens, each counted in one kind only; seconds; USD.

    input_tokens        neither read from a cache nor written to one
    output_tokens       with those of reasoning
    cost                None where the price is unknown
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """Both together; an unknown cost makes the sum unknown."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.output_tokens + other.output_tokens,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
            self.seconds + other.seconds,
        )


NOTHING_USED: Final = Usage()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a tile has no answer: its kind, and one line for people."""

    kind: FailureKind
    message: str


@dataclass(frozen=True)
class Outcome:
    """What became of one tile: its features, or a failure; what was used counts either way.

    Features may reach beyond the tile; each stands in one outcome only. `dropped` counts by reason what the model said
    and nobody can use, `repaired` the features that had to be mended, `unanswered` the attempts that brought no reply
    and were perhaps charged all the same.
    """

    tile: Tile
    features: tuple[FoundFeature, ...] = ()
    failure: Failure | None = None
    usage: Usage = NOTHING_USED
    dropped: Mapping[str, int] = field(default_factory=dict)
    repaired: int = 0
    unanswered: int = 0


@dataclass(frozen=True)
class Assignment:
    """What a run asks of a predictor.

    tiles       still to do, neighbours near one another
    done        tiles of the same run that were done before: what begins there is known already
    size        pixels a side of a tile
    source_of   the imagery of a tile of the project, None where there is none. Raises ImageryError
    stopped     True when nothing new is to be begun; what is under way, and paid for, is still wanted
    report      hears how many tiles of the outcomes to come are through
    used        what the run used for the tiles that are not among these
    run_id, worker  whose work this is, for a predictor that keeps records of its own
    """

    tiles: Sequence[Tile]
    source_of: Callable[[Tile], ImagerySource | None]
    done: frozenset[Tile] = frozenset()
    size: int = 512
    stopped: Callable[[], bool] = lambda: False
    report: Callable[[float], None] = lambda _: None
    used: Usage = NOTHING_USED
    run_id: int = 0
    worker: str = ""

    def pixels(self, tile: Tile) -> NDArray[np.uint8]:
        """RGBA pixels of a tile, (size, size, 4), on these tiles or beside them; all 0 where there is no imagery.

        Raises ImageryError.
        """
        source = self.source_of(tile)
        return np.zeros((self.size, self.size, 4), dtype=np.uint8) if source is None else source.read(tile, self.size)


class RunEndsError(ConflictError):
    """A run comes to its end as it was told to, with tiles left: a budget is used up. They stay pending."""


class AnswersLaterError(ConflictError):
    """The answers come later, and nobody wants to wait: the run is put down as it is, for anybody to take up again."""


class Predictor(Protocol):
    """A model, ready to predict."""

    @property
    def class_names(self) -> Collection[str]:
        """The classes it looks for: of these, what it does not find is not there, as far as it knows."""
        ...

    @property
    def prompt_hash(self) -> str:
        """Equal for equal questions: of everything beside model and pixels that shapes an answer."""
        ...

    def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
        """One outcome for each tile, those that are ready together; they are on disk before the next are asked for.

        Trouble with a tile is a failure in its outcome. Raises RunEndsError when the run was to end here,
        AnswersLaterError when there is nothing to do but wait, and another MaploopError when it is no use to go on.
        """
        ...
