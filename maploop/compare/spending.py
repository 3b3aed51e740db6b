"""What runs, training and reviewing took, as measured: the figures that money is reckoned from."""

from dataclasses import dataclass

from sqlalchemy import Connection

from maploop.evaluate.layers import Indices
from maploop.predict.models import ModelView
from maploop.project import ProjectView
from maploop.quality.statistics import Metric

LONGEST = 300.0  # seconds on one feature; longer is a break, not work


@dataclass(frozen=True)
class Spent:
    """What a model's answers on some tiles took; what failed took its part too.

    tiles       for which a run said what it took; 0 for a file of predictions, of which nothing is known
    cost        USD, as the runs reckoned it; None when a price was not known
    """

    tiles: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0

    @property
    def seconds_a_tile(self) -> float | None:
        """None where no run tells."""
        return self.seconds / self.tiles if self.tiles else None


@dataclass(frozen=True)
class Speeds:
    """How long people take over one thing, in seconds; `scored` 0: nobody was timed, so it is a guess.

    tile        on a whole tile beside its features: looking for what is missing, and saying that nothing is
    corrected   of the predictions that people kept, the share that they had to correct
    """

    accept: Metric
    correct: Metric
    reject: Metric
    add: Metric
    tile: Metric
    corrected: Metric


GUESSES = {"accept": 1.5, "correct": 8.0, "reject": 1.5, "add": 8.0, "tile": 4.0}
GUESSED_CORRECTED = 0.2


def spent_on(connection: Connection, tile_ids: Indices, run_of_tile: Indices) -> Spent:
    """What the answers of a model took, given which run answered for each tile."""
    raise NotImplementedError


def measured_speeds(connection: Connection, project: ProjectView) -> Speeds:
    """From the decisions and acts of everybody, those of files and of rules left aside."""
    raise NotImplementedError


def training_cost_of(connection: Connection, project: ProjectView, model: ModelView) -> float | None:
    """USD of making a model: 0 for one that was not tuned here or is local; None when nobody knows."""
    raise NotImplementedError
