"""Where the loop stands: what the overview page shows, from a handful of queries that stay fast at 100,000 features."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection, Float, Integer, cast, extract, func, select

from db.conditions import counts, on_counted_tile
from db.models import Annotator, Claim, Decision, Feature, Prediction, Tile, TileEvent
from db.types import utc_now
from maploop.imagery.area import area_of
from maploop.imagery.pixel_records import PixelCounts, count_pixels
from maploop.next_step import NextStep, next_step
from maploop.predict.looked_at import without_run
from maploop.project import ClassView, ProjectView

KEPT = ("accept", "correct", "add")
STATUSES = ("open", "returned", "complete", "approved")
SCORED_AT_MOST = 10_000  # decided features that the verdicts by score are read from
BANDS = 10
PAUSE_SECONDS = 900  # between two finished tiles: longer is a break, not work


@dataclass(frozen=True)
class ClassProgress:
    """Features of one class by what holds for them; `undecided` ask for attention."""

    name: str
    colour: str
    verdicts: Mapping[str, int]
    undecided: int

    @property
    def decided(self) -> int:
        """Features with a verdict, unsure ones too."""
        return sum(self.verdicts.values())

    @property
    def annotations(self) -> int:
        """Features that belong on the map."""
        return sum(self.verdicts.get(each, 0) for each in KEPT)


@dataclass(frozen=True)
class PersonProgress:
    """One person's tiles, decisions made one by one, and speed.

    Speed is None until two tiles were finished within a quarter of an hour; what came from a file has none.
    """

    annotator_id: int
    name: str
    complete: int
    approved: int
    returned: int
    decisions: int
    tiles_per_hour: float | None
    decisions_per_hour: float | None


@dataclass(frozen=True)
class ScoreBand:
    """What people said of predictions with a score from `low` up to `high`."""

    low: float
    high: float
    verdicts: Mapping[str, int]


@dataclass(frozen=True)
class VerdictsByScore:
    """Is the model's score worth anything?

    scored      decided predictions with a score that went in: all, or every n-th where there are very many
    total       features with a verdict
    order       share of pairs of a kept and a rejected prediction in which the kept one scores higher (ties half): 0.5
                is chance (the area under the ROC curve, by Mann and Whitney's U); None without both kinds
    """

    bands: tuple[ScoreBand, ...]
    scored: int
    total: int
    order: float | None


@dataclass(frozen=True)
class Overview:
    """Everything the overview page shows, the map apart; no model has looked at the tiles `without_run`."""

    tiles: Mapping[str, int]
    claimed: int
    without_imagery: int
    pixels: PixelCounts
    without_run: int
    classes: tuple[ClassProgress, ...]
    people: tuple[PersonProgress, ...]
    scores: VerdictsByScore
    next_step: NextStep

    @property
    def total_tiles(self) -> int:
        """All tiles of the project."""
        return sum(self.tiles.values())

    @property
    def finished_tiles(self) -> int:
        """Tiles that somebody said are complete."""
        return self.tiles["complete"] + self.tiles["approved"]


def overview_of(connection: Connection, project: ProjectView, annotator_id: int) -> Overview:
    """Where the project stands, as seen by one annotator."""
    tiles = dict.fromkeys(STATUSES, 0)
    query = select(Tile.status, func.count()).where(Tile.project_id == project.id, counts()).group_by(Tile.status)
    tiles.update(dict(connection.execute(query).all()))
    classes = _classes(connection, project)
    people = _people(connection, project)
    bare = _without_imagery(connection, project)
    pixels = count_pixels(connection, project, counts())
    return Overview(
        tiles=tiles,
        claimed=_claimed(connection, project),
        without_imagery=bare,
        pixels=pixels,
        without_run=without_run(connection, project),
        classes=classes,
        people=people,
        scores=_verdicts_by_score(connection, project, classes),
        next_step=next_step(
            connection,
            project,
            annotator_id,
            tiles,
            without_imagery=bare + pixels.holes,
            has_features=any(each.decided or each.undecided for each in classes),
            returned=sum(each.returned for each in people if each.annotator_id == annotator_id),
        ),
    )


def _claimed(connection: Connection, project: ProjectView) -> int:
    return connection.execute(
        select(func.count())
        .select_from(Claim)
        .join(Tile, Tile.id == Claim.tile_id)
        .where(Tile.project_id == project.id, counts(), Claim.expires_at > utc_now(), Claim.ahead.is_(False))
    ).scalar_one()


def _without_imagery(connection: Connection, project: ProjectView) -> int:
    return connection.execute(
        select(func.count()).where(Tile.project_id == project.id, counts(), Tile.imagery_id.is_(None))
    ).scalar_one()


def _classes(connection: Connection, project: ProjectView) -> tuple[ClassProgress, ...]:
    within = () if area_of(connection, project) is None else (on_counted_tile(),)
    found = connection.execute(
        select(Feature.verdict, Feature.class_id, Feature.withdrawn, func.count())
        .where(Feature.project_id == project.id, *within)
        .group_by(Feature.verdict, Feature.class_id, Feature.withdrawn)
    )
    verdicts: dict[int, Counter[str]] = defaultdict(Counter)
    left: Counter[int] = Counter()
    for verdict, class_id, withdrawn, count in found:
        if verdict is not None:
            verdicts[class_id][verdict] += count
        elif not withdrawn:
            left[class_id] += count
    # What nobody predicted and nobody holds: drawn in an audit, or drawn and taken back.
    drawn = connection.execute(
        select(Feature.class_id, func.count())
        .where(
            Feature.project_id == project.id,
            Feature.prediction_id.is_(None),
            Feature.verdict.is_(None),
            Feature.withdrawn.is_(False),
            *within,
        )
        .group_by(Feature.class_id)
    )
    left.subtract(dict(drawn.all()))

    def progress(each: ClassView) -> ClassProgress:
        return ClassProgress(each.name, each.colour, dict(verdicts[each.id]), left[each.id])

    return tuple(progress(each) for each in project.classes)


def _people(connection: Connection, project: ProjectView) -> tuple[PersonProgress, ...]:
    tiles: dict[int, Counter[str]] = defaultdict(Counter)
    for annotator, status, count in connection.execute(
        select(Tile.finished_by, Tile.status, func.count())
        .where(Tile.project_id == project.id, Tile.finished_by.is_not(None))
        .group_by(Tile.finished_by, Tile.status)
    ):
        if annotator is not None:
            tiles[annotator][status] = count
    decisions = dict(
        connection.execute(
            select(Decision.annotator_id, func.count())
            .where(Decision.project_id == project.id, Decision.seconds > 0)
            .group_by(Decision.annotator_id)
        ).all()
    )
    speeds = _speeds(connection, project)
    names = connection.execute(
        select(Annotator.id, Annotator.name)
        .where(Annotator.id.in_({*tiles, *decisions, *speeds}))
        .order_by(Annotator.name)
    )
    people = []
    for annotator, name in names:
        finished, per_hour = speeds.get(annotator, (0, None))
        made = decisions.get(annotator, 0)
        people.append(
            PersonProgress(
                annotator_id=annotator,
                name=name,
                complete=tiles[annotator]["complete"],
                approved=tiles[annotator]["approved"],
                returned=tiles[annotator]["returned"],
                decisions=made,
                tiles_per_hour=per_hour,
                decisions_per_hour=per_hour * made / finished if per_hour is not None else None,
            )
        )
    return tuple(people)


def _speeds(connection: Connection, project: ProjectView) -> dict[int, tuple[int, float | None]]:
    """Annotator -> tiles finished one by one, and tiles an hour of work: from the time between two, without breaks."""
    at = cast(extract("epoch", TileEvent.stored_at), Float)
    gaps = (
        select(
            TileEvent.annotator_id,
            (at - func.lag(at).over(partition_by=TileEvent.annotator_id, order_by=TileEvent.seq)).label("gap"),
        )
        .join(Tile, Tile.id == TileEvent.tile_id)
        .where(Tile.project_id == project.id, TileEvent.act == "complete", TileEvent.drawn_by != "import")
    ).subquery()
    worked = gaps.c.gap.between(0, PAUSE_SECONDS)  # less than 0: somebody set the clock back
    rows = connection.execute(
        select(
            gaps.c.annotator_id,
            func.count().label("finished"),
            func.count().filter(worked).label("steps"),
            func.sum(gaps.c.gap).filter(worked).label("seconds"),
        ).group_by(gaps.c.annotator_id)
    )
    return {row.annotator_id: (row.finished, row.steps * 3600 / row.seconds if row.seconds else None) for row in rows}


def _verdicts_by_score(
    connection: Connection, project: ProjectView, classes: tuple[ClassProgress, ...]
) -> VerdictsByScore:
    total = sum(each.decided for each in classes)
    every = -(-total // SCORED_AT_MOST) or 1
    percent = cast(func.floor(Prediction.score * 100), Integer)
    query = (
        select(percent, Feature.verdict, func.count())
        .join(Prediction, Prediction.id == Feature.prediction_id)
        .where(
            Feature.project_id == project.id,
            Feature.verdict.in_(("accept", "correct", "reject", "unsure")),
            Prediction.score.is_not(None),
        )
        .group_by(percent, Feature.verdict)
    )
    if every > 1:
        query = query.where(Feature.id % every == 0)
    bands: list[Counter[str]] = [Counter() for _ in range(BANDS)]
    kept, rejected = np.zeros(101), np.zeros(101)
    for score, verdict, count in connection.execute(query):
        place = min(max(score, 0), 100)
        bands[min(place * BANDS // 100, BANDS - 1)][verdict or ""] += count
        if verdict == "reject":
            rejected[place] += count
        elif verdict != "unsure":
            kept[place] += count
    edges = pairwise(index / BANDS for index in range(BANDS + 1))
    return VerdictsByScore(
        bands=tuple(ScoreBand(low, high, dict(band)) for (low, high), band in zip(edges, bands, strict=True)),
        scored=sum(band.total() for band in bands),
        total=total,
        order=_order(kept, rejected),
    )


def _order(kept: np.ndarray, rejected: np.ndarray) -> float | None:
    """Chance that a kept prediction scores above a rejected one, from counts by score; ties count half."""
    pairs = kept.sum() * rejected.sum()
    if not pairs:
        return None
    below = np.cumsum(rejected) - rejected
    return float((kept @ (below + rejected / 2)) / pairs)
