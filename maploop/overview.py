"""Where the loop stands: what the overview page shows, from a handful of queries that stay fast at 100,000 features."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from sqlalchemy import Connection, Float, Integer, cast, extract, func, select

from db.conditions import undecided
from db.models import Annotator, AuditSample, Claim, Decision, Feature, Prediction, Tile, TileEvent, TileFeature
from db.types import utc_now
from maploop.project import ClassView, ProjectView
from maploop.quality.acceptance import is_alone
from maploop.quality.samples import next_audit

KEPT = ("accept", "correct", "add")
STATUSES = ("open", "returned", "complete", "approved")
SCORED_AT_MOST = 10_000  # decided features that the verdicts by score are read from
BANDS = 10
PAUSE_SECONDS = 900  # between two finished tiles: longer is a break, not work
PageName = Literal["import", "review", "quality", "dataset"]


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
class NextStep:
    """The one next thing to do: a sentence, the label of its button, and where that leads."""

    text: str
    label: str
    page: PageName
    query: Mapping[str, str]


@dataclass(frozen=True)
class Overview:
    """Everything the overview page shows, the map apart."""

    tiles: Mapping[str, int]
    claimed: int
    without_imagery: int
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
    query = select(Tile.status, func.count()).where(Tile.project_id == project.id).group_by(Tile.status)
    tiles.update(dict(connection.execute(query).all()))
    classes = _classes(connection, project)
    people = _people(connection, project)
    bare = _without_imagery(connection, project)
    return Overview(
        tiles=tiles,
        claimed=_claimed(connection, project),
        without_imagery=bare,
        classes=classes,
        people=people,
        scores=_verdicts_by_score(connection, project, classes),
        next_step=_next_step(connection, project, annotator_id, tiles, bare, classes, people),
    )


def _claimed(connection: Connection, project: ProjectView) -> int:
    return connection.execute(
        select(func.count())
        .select_from(Claim)
        .join(Tile, Tile.id == Claim.tile_id)
        .where(Tile.project_id == project.id, Claim.expires_at > utc_now(), Claim.ahead.is_(False))
    ).scalar_one()


def _without_imagery(connection: Connection, project: ProjectView) -> int:
    return connection.execute(
        select(func.count()).where(Tile.project_id == project.id, Tile.imagery_id.is_(None))
    ).scalar_one()


def _classes(connection: Connection, project: ProjectView) -> tuple[ClassProgress, ...]:
    found = connection.execute(
        select(Feature.verdict, Feature.class_id, Feature.withdrawn, func.count())
        .where(Feature.project_id == project.id)
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
            (at - func.lag(at).over(partition_by=TileEvent.annotator_id, order_by=TileEvent.stored_at)).label("gap"),
        )
        .join(Tile, Tile.id == TileEvent.tile_id)
        .where(Tile.project_id == project.id, TileEvent.act == "complete", TileEvent.drawn_by != "import")
    ).subquery()
    worked = gaps.c.gap <= PAUSE_SECONDS
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


def _next_step(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    tiles: Mapping[str, int],
    without_imagery: int,
    classes: tuple[ClassProgress, ...],
    people: tuple[PersonProgress, ...],
) -> NextStep:
    """Bring in, mend what came back, finish what was begun, review, check, export: the first that there is to do."""
    returned = sum(each.returned for each in people if each.annotator_id == annotator_id)
    to_review = tiles["open"] + tiles["returned"] - without_imagery
    return (
        _bring_in(sum(tiles.values()) - without_imagery, classes)
        or _mend(returned)
        or _go_on(connection, project, annotator_id)
        or _review(to_review)
        or _look_again(connection, project)
        or _check(connection, project, annotator_id, tiles["complete"])
        or NextStep(f"Export {_tiles(tiles['approved'])} as fine-tuning examples.", "Export", "dataset", {})
    )


def _bring_in(with_imagery: int, classes: tuple[ClassProgress, ...]) -> NextStep | None:
    if with_imagery <= 0:
        text = "Bring in imagery: a GeoTIFF, a folder of tiles, or the address of a tile server or WMS."
        return NextStep(text, "Import imagery", "import", {})
    if any(each.decided or each.undecided for each in classes):
        return None
    text = "Bring in a model's predictions: GeoJSON, GeoPackage, GeoParquet, Shapefile, COCO or Label Studio."
    return NextStep(text, "Import predictions", "import", {})


def _mend(returned: int) -> NextStep | None:
    text = f"{_tiles(returned)} came back to you with a comment: mend what was found."
    return NextStep(text, "Mend", "review", {}) if returned else None


def _go_on(connection: Connection, project: ProjectView, annotator_id: int) -> NextStep | None:
    samples = connection.execute(
        select(AuditSample.id)
        .where(
            AuditSample.project_id == project.id,
            AuditSample.reviewer_id == annotator_id,
            AuditSample.closed_at.is_(None),
        )
        .order_by(AuditSample.id)
    ).scalars()
    for each in samples:
        if next_audit(connection, each, annotator_id):
            return NextStep("Finish the spot check you have begun.", "Go on", "review", {"audit": str(each)})
    return None


def _review(to_review: int) -> NextStep | None:
    return NextStep(f"Review {_tiles(to_review)}.", "Review", "review", {}) if to_review > 0 else None


def _look_again(connection: Connection, project: ProjectView) -> NextStep | None:
    again = _second_looks(connection, project)
    text = f"A newer model found something on {_tiles(again)} finished before: look again."
    return NextStep(text, "Look again", "review", {}) if again else None


def _check(connection: Connection, project: ProjectView, annotator_id: int, complete: int) -> NextStep | None:
    if not complete:
        return None
    if is_alone(connection, project, annotator_id):
        text = f"Approve {_tiles(complete)} of yours, or let somebody else spot-check them first."
        return NextStep(text, "Approve", "quality", {})
    return NextStep(f"Spot-check {_tiles(complete)}.", "Spot check", "quality", {})


def _second_looks(connection: Connection, project: ProjectView) -> int:
    """Finished tiles with something undecided."""
    return connection.execute(
        select(func.count(Tile.id.distinct()))
        .join(TileFeature, TileFeature.tile_id == Tile.id)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .where(Feature.project_id == project.id, undecided(), Tile.status.in_(("complete", "approved")))
    ).scalar_one()


def _tiles(count: int) -> str:
    return "1 tile" if count == 1 else f"{count:,} tiles"
