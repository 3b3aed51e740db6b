"""What runs, training and reviewing took, as measured: the figures that money is reckoned from."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import ColumnElement, Connection, func, select

from db.models import Decision, Model, Prediction, Run, RunTile, Tile, TileEvent
from maploop.evaluate.layers import Indices
from maploop.predict.models import ModelView
from maploop.project import ProjectView
from maploop.quality.statistics import Metric, proportion

LONGEST = 300.0  # seconds on one thing; longer is a break, not work
ENOUGH = 50  # predictions of a model that people kept, from which its share of corrections is its own
NEWEST = 2_000  # decisions of a kind that a speed is taken from: people get faster
GUESSES = {"accept": 1.5, "correct": 8.0, "reject": 1.5, "add": 8.0, "tile": 4.0}
GUESSED_CORRECTED = 0.2
OURS = ("local", "transformers")  # backends that run, and are trained, on a machine of ours


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


def spent_on(connection: Connection, tile_ids: Indices, run_of_tile: Indices) -> Spent:
    """What the answers of a model took, given which run answered for each tile."""
    wanted = dict(zip(tile_ids.tolist(), run_of_tile.tolist(), strict=True))
    rows = [
        row
        for run_id in np.unique(run_of_tile).tolist()
        for row in connection.execute(
            select(
                RunTile.tile_id,
                RunTile.input_tokens,
                RunTile.cached_tokens,
                RunTile.cache_write_tokens,
                RunTile.output_tokens,
                RunTile.cost,
                RunTile.seconds,
            ).where(RunTile.run_id == run_id, RunTile.status != "pending")
        )
        if wanted.get(row.tile_id) == run_id
    ]
    costs = [row.cost for row in rows]
    return Spent(
        tiles=len(rows),
        input_tokens=sum(row.input_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        cache_write_tokens=sum(row.cache_write_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cost=None if not costs or None in costs else sum(costs),
        seconds=sum(row.seconds for row in rows),
    )


def measured_speeds(connection: Connection, project: ProjectView) -> Speeds:
    """From the newest decisions and acts of everybody; those of files and of rules took no time and do not count."""
    seconds = {verdict: _decision_seconds(connection, project, verdict) for verdict in GUESSES if verdict != "tile"}
    on_tiles = _looking_seconds(connection, project)
    counts = dict(
        connection.execute(
            select(Decision.verdict, func.count())
            .where(*_timed(project), Decision.verdict.in_(("accept", "correct")))
            .group_by(Decision.verdict)
        ).all()
    )
    corrected = counts.get("correct", 0)
    kept = corrected + counts.get("accept", 0)
    return Speeds(
        **{verdict: _mean_seconds(each, GUESSES[verdict]) for verdict, each in seconds.items()},
        tile=_mean_seconds(on_tiles, GUESSES["tile"]),
        corrected=proportion(corrected, kept) if kept else Metric(GUESSED_CORRECTED, 0, 0),
    )


def corrected_shares(connection: Connection, project: ProjectView) -> dict[str, Metric]:
    """By model name: of its predictions that people kept, the share they had to correct; where enough were kept."""
    kept: dict[str, Counter[str]] = defaultdict(Counter)
    for name, verdict, count in connection.execute(
        select(Model.name, Decision.verdict, func.count())
        .select_from(Decision)
        .join(Prediction, Prediction.id == Decision.prediction_id)
        .join(Run, Run.id == Prediction.run_id)
        .join(Model, Model.id == Run.model_id)
        .where(*_timed(project), Decision.verdict.in_(("accept", "correct")))
        .group_by(Model.name, Decision.verdict)
    ):
        kept[name][verdict] = count
    return {
        name: proportion(counts["correct"], counts.total()) for name, counts in kept.items() if counts.total() >= ENOUGH
    }


def training_cost_of(model: ModelView) -> float | None:
    """USD of making a model: 0 for one trained here, or not made here at all; None when nobody knows.

    A tuned model says what it took in its parameters, as `cost` in USD, which a chat model keeps under `training`.
    """
    training = model.parameters.get("training")
    told = _amount((training if isinstance(training, dict) else model.parameters).get("cost"))
    if told is not None:
        return told
    return None if model.dataset_id is not None and model.backend not in OURS else 0.0


def training_seconds_of(model: ModelView) -> float:
    """How long a machine of ours trained it."""
    return (_amount(model.parameters.get("seconds")) or 0.0) if model.backend in OURS else 0.0


def _amount(value: object) -> float | None:
    """What a model's parameters say, if it is a number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        return None
    return float(value)


def _timed(project: ProjectView) -> tuple[ColumnElement[bool], ...]:
    """Conditions on `Decision`: a person made it, one by one, and not in a blind second look."""
    return (
        Decision.project_id == project.id,
        Decision.audit_id.is_(None),
        Decision.seconds > 0,
        Decision.seconds <= LONGEST,
    )


def _decision_seconds(connection: Connection, project: ProjectView, verdict: str) -> list[float]:
    query = select(Decision.seconds).where(*_timed(project), Decision.verdict == verdict)
    return list(connection.execute(query.order_by(Decision.seq.desc()).limit(NEWEST)).scalars())


def _looking_seconds(connection: Connection, project: ProjectView) -> list[float]:
    """Of finished tiles, the newest first, the seconds that no decision of the same person on them took."""
    attention = connection.execute(
        select(TileEvent.tile_id, TileEvent.annotator_id, func.sum(TileEvent.seconds).label("seconds"))
        .join(Tile, Tile.id == TileEvent.tile_id)
        .where(
            Tile.project_id == project.id,
            TileEvent.act == "complete",
            TileEvent.audit_id.is_(None),
            TileEvent.seconds > 0,
        )
        .group_by(TileEvent.tile_id, TileEvent.annotator_id)
        .order_by(func.max(TileEvent.seq).desc())
        .limit(NEWEST)
    ).all()
    deciding = {
        (tile_id, annotator_id): seconds or 0.0
        for tile_id, annotator_id, seconds in connection.execute(
            select(Decision.tile_id, Decision.annotator_id, func.sum(Decision.seconds))
            .where(Decision.project_id == project.id, Decision.audit_id.is_(None))
            .group_by(Decision.tile_id, Decision.annotator_id)
        )
    }
    looking = (each.seconds - deciding.get((each.tile_id, each.annotator_id), 0.0) for each in attention)
    return [min(max(0.0, each), LONGEST) for each in looking]


def _mean_seconds(seconds: Sequence[float], guess: float) -> Metric:
    """The mean with its standard error doubled; the guess when nobody was timed."""
    if not seconds:
        return Metric(guess, 0, 0)
    values = np.array(seconds)
    mean = float(values.mean())
    if len(values) < 2:
        return Metric(mean, 1, 1)
    half = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    return Metric(mean, len(values), len(values), max(0.0, mean - half), mean + half)
