"""Drawing a spot check: a random sample of finished tiles, spread over annotators and classes, never one's own work."""

import hashlib
import math
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, or_, select

from db.bulk import lock_project
from db.models import Annotator, Audit, AuditSample, Decision, Feature, Tile, TileFeature
from maploop.database import Database
from maploop.dataset.split import unit_hash
from maploop.errors import ConflictError, InputError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectView
from maploop.quality.samples import SampleView, finished_since, load_sample
from maploop.quality.stratified import margin_of_tiles, tiles_for_margin

EMPTY = "no features"


class SampleWish(BaseModel):
    """What a reviewer asks for: a `size` in tiles, or a `margin` by which the error rate of features may be off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int | None = Field(default=None, ge=1)
    margin: float = Field(default=0.05, gt=0, lt=1)
    expected_rate: float = Field(default=0.1, ge=0, le=1)
    statuses: tuple[Literal["complete", "approved"], ...] = ("complete",)
    by_annotator: bool = True
    by_class: bool = True


@dataclass(frozen=True)
class Stratum:
    """Tiles of one annotator with one class (the rarest on each), and how many of them are drawn."""

    annotator: str
    class_name: str
    population: int
    size: int

    @property
    def name(self) -> str:
        """As it is shown and stored: `anna · road`."""
        return stratum_name(self.annotator, self.class_name)


@dataclass(frozen=True)
class Candidate:
    """A finished tile that may be drawn."""

    tile_id: int
    address: TileAddress
    annotator_id: int
    annotator: str
    class_name: str


@dataclass(frozen=True)
class SamplePlan:
    """What a wish comes to: strata with their sizes, the margin to expect, and what is left out and why."""

    strata: tuple[Stratum, ...]
    tiles: int
    features: int
    own: int
    in_audit: int
    margin: float

    @property
    def size(self) -> int:
        """Tiles to look at."""
        return sum(each.size for each in self.strata)


def stratum_name(annotator: str, class_name: str) -> str:
    """The name of a stratum: `anna · road`."""
    return " · ".join(each for each in (annotator, class_name) if each) or "all"


def allocate(populations: Sequence[int], size: int) -> list[int]:
    """Share `size` out in proportion, at least one and at most all of each; with more strata than that, one of each."""
    total = sum(populations)
    if total == 0:
        return [0] * len(populations)
    size = min(total, max(size, sum(each > 0 for each in populations)))
    quotas = [size * each / total for each in populations]
    shares = [min(each, max(1, math.floor(quota))) for each, quota in zip(populations, quotas, strict=True)]
    while sum(shares) < size:
        room = [index for index, share in enumerate(shares) if share < populations[index]]
        shares[max(room, key=lambda index: quotas[index] - shares[index])] += 1
    while sum(shares) > size:
        spare = [index for index, share in enumerate(shares) if share > 1]
        shares[min(spare, key=lambda index: quotas[index] - shares[index])] -= 1
    return shares


def plan_sample(connection: Connection, project: ProjectView, reviewer_id: int, wish: SampleWish) -> SamplePlan:
    """What drawing would come to now; nothing is drawn."""
    return _plan(connection, project, reviewer_id, wish, _candidates(connection, project, reviewer_id, wish))


def draw_sample(
    database: Database, project: ProjectView, reviewer_id: int, wish: SampleWish, *, seed: str | None = None
) -> SampleView:
    """Draw a spot check for a reviewer and store how it was drawn. Raises ConflictError when there is nothing to draw.

    Of each stratum the tiles whose address hashes lowest with the seed are taken, so the same seed over the same
    tiles (`criteria["tiles_sha256"]` tells) draws the same sample, on any machine.
    """
    seed = seed or secrets.token_hex(8)
    with database.write() as connection:
        lock_project(connection, project.id)  # two reviewers at once must not draw the same tile
        candidates = _candidates(connection, project, reviewer_id, wish)
        plan = _plan(connection, project, reviewer_id, wish, candidates)
        if not candidates:
            raise ConflictError(nothing_to_draw(plan))
        sizes = {(each.annotator, each.class_name): each.size for each in plan.strata}
        ordered = sorted(candidates, key=lambda each: unit_hash(seed, each.address))
        drawn: list[Candidate] = []
        taken: Counter[tuple[str, str]] = Counter()
        for each in ordered:
            key = _stratum_of(each, wish)
            if taken[key] < sizes[key]:
                taken[key] += 1
                drawn.append(each)
        addresses = "\n".join(sorted(str(each.address) for each in candidates))
        sample_id = connection.execute(
            insert(AuditSample)
            .values(
                project_id=project.id,
                reviewer_id=reviewer_id,
                criteria={
                    **wish.model_dump(mode="json"),
                    "seed": seed,
                    "tiles": plan.tiles,
                    "features": plan.features,
                    "tiles_sha256": hashlib.sha256(addresses.encode()).hexdigest(),
                    "strata": [
                        {
                            "annotator": each.annotator,
                            "class": each.class_name,
                            "population": each.population,
                            "size": each.size,
                        }
                        for each in plan.strata
                    ],
                },
            )
            .returning(AuditSample.id)
        ).scalar_one()
        strata = {(each.annotator, each.class_name): each.name for each in plan.strata}
        connection.execute(
            insert(Audit),
            [
                {
                    "sample_id": sample_id,
                    "tile_id": each.tile_id,
                    "annotator_id": each.annotator_id,
                    "stratum": strata[_stratum_of(each, wish)],
                }
                for each in drawn
            ],
        )
        return load_sample(connection, project, sample_id)


def nothing_to_draw(plan: SamplePlan) -> str:
    """One sentence that says why there is no tile to draw, and what would help."""
    if plan.in_audit:
        tiles = "1 finished tile is" if plan.in_audit == 1 else f"{plan.in_audit} finished tiles are"
        return f"{tiles} in a spot check already: finish or close that one first."
    if plan.own:
        tiles = "The only finished tile is" if plan.own == 1 else f"All {plan.own} finished tiles are"
        return f"{tiles} your own work: a spot check needs somebody else's, or another reviewer."
    return "No tile is finished yet: a spot check looks at finished tiles."


def _finished(project: ProjectView, wish: SampleWish) -> ColumnElement[bool]:
    if not wish.statuses:
        msg = "No status is chosen: draw from complete tiles, from approved ones, or both."
        raise InputError(msg)
    return and_(Tile.project_id == project.id, Tile.status.in_(wish.statuses), Tile.finished_by.is_not(None))


def _own(project: ProjectView, reviewer_id: int) -> ColumnElement[bool]:
    """Tiles that the reviewer finished or decided something on."""
    decided = select(Decision.tile_id).where(
        Decision.project_id == project.id, Decision.annotator_id == reviewer_id, Decision.audit_id.is_(None)
    )
    return or_(Tile.finished_by == reviewer_id, Tile.id.in_(decided))


def _in_audit(project: ProjectView, reviewer_id: int) -> Select[int]:
    """Tiles that wait in an open spot check of anybody, or that this reviewer has seen since they were finished."""
    waits = and_(Audit.finished_at.is_(None), AuditSample.closed_at.is_(None))
    seen = and_(
        AuditSample.reviewer_id == reviewer_id,
        Audit.finished_at.is_not(None),
        ~finished_since(Audit.after_event, Audit.finished_at),
    )
    return (
        select(Audit.tile_id)
        .join(AuditSample, AuditSample.id == Audit.sample_id)
        .join(Tile, Tile.id == Audit.tile_id)
        .where(AuditSample.project_id == project.id, or_(waits, seen))
    )


def _candidates(connection: Connection, project: ProjectView, reviewer_id: int, wish: SampleWish) -> list[Candidate]:
    rows = connection.execute(
        select(Tile.id, Tile.z, Tile.x, Tile.y, Tile.finished_by, Annotator.name)
        .join(Annotator, Annotator.id == Tile.finished_by)
        .where(
            _finished(project, wish),
            ~_own(project, reviewer_id),
            Tile.id.not_in(_in_audit(project, reviewer_id)),
        )
    ).all()
    classes = _rarest_classes(connection, project, wish) if wish.by_class and rows else {}
    return [
        Candidate(row.id, TileAddress(row.z, row.x, row.y), row.finished_by, row.name, classes.get(row.id, EMPTY))
        for row in rows
    ]


def _rarest_classes(connection: Connection, project: ProjectView, wish: SampleWish) -> dict[int, str]:
    """Tile id -> that of its classes which is on the fewest finished tiles: so each class has tiles to look at."""
    pairs = connection.execute(
        select(TileFeature.tile_id, Feature.class_id)
        .distinct()
        .join(Feature, Feature.id == TileFeature.feature_id)
        .join(Tile, Tile.id == TileFeature.tile_id)
        .where(
            _finished(project, wish),
            Feature.withdrawn.is_(False),
            or_(Feature.prediction_id.is_not(None), Feature.verdict.is_not(None)),
        )
    ).all()
    tiles_with = Counter(class_id for _, class_id in pairs)
    rarest: dict[int, int] = {}
    for tile_id, class_id in pairs:
        held = rarest.get(tile_id)
        if held is None or (tiles_with[class_id], class_id) < (tiles_with[held], held):
            rarest[tile_id] = class_id
    return {tile_id: project.class_with_id(class_id).name for tile_id, class_id in rarest.items()}


def _stratum_of(candidate: Candidate, wish: SampleWish) -> tuple[str, str]:
    return candidate.annotator if wish.by_annotator else "", candidate.class_name if wish.by_class else ""


def _plan(
    connection: Connection,
    project: ProjectView,
    reviewer_id: int,
    wish: SampleWish,
    candidates: list[Candidate],
) -> SamplePlan:
    count = select(func.count()).select_from(Tile).where(_finished(project, wish))
    own = connection.execute(count.where(_own(project, reviewer_id))).scalar_one()
    finished = connection.execute(count).scalar_one()
    tiles = len(candidates)
    found = _features_on(connection, project, wish, tiles, finished)
    strata_drawn = len({_stratum_of(each, wish) for each in candidates})
    size = wish.size
    if size is None:
        size = tiles_for_margin(wish.margin, tiles, found.mean, found.crowding, wish.expected_rate, strata_drawn)
    sizes = Counter(_stratum_of(each, wish) for each in candidates)
    keys = sorted(sizes)
    shares = allocate([sizes[key] for key in keys], size)
    strata = tuple(Stratum(*key, sizes[key], share) for key, share in zip(keys, shares, strict=True))
    plan = SamplePlan(strata, tiles, found.features, own, finished - own - tiles, 0.0)
    margin = margin_of_tiles(plan.size, tiles, found.mean, found.crowding, wish.expected_rate, len(strata))
    return replace(plan, margin=margin)


@dataclass(frozen=True)
class _Held:
    """Features that tiles hold: in all, on a tile in the mean, and on the tile of a feature in the mean."""

    features: int
    mean: float
    crowding: float


def _features_on(connection: Connection, project: ProjectView, wish: SampleWish, tiles: int, finished: int) -> _Held:
    """About what the candidates hold: what finished tiles do, in proportion."""
    by_tile = (
        select(func.count().label("held"))
        .select_from(TileFeature)
        .join(Tile, Tile.id == TileFeature.tile_id)
        .where(_finished(project, wish))
        .group_by(TileFeature.tile_id)
        .subquery()
    )
    row = connection.execute(
        select(func.sum(by_tile.c.held).label("held"), func.sum(by_tile.c.held * by_tile.c.held).label("squares"))
    ).one()
    held, squares = int(row.held or 0), int(row.squares or 0)
    if not finished or not held:
        return _Held(0, 1.0, 1.0)
    return _Held(round(held * tiles / finished), held / finished, squares / held)
