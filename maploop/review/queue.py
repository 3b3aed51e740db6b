"""The queue: which tile an annotator gets next, and why there is none when there is none."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, or_, select, tuple_

from db.conditions import counts, undecided
from db.models import Claim, Decision, Feature, Prediction, Tile, TileEvent, TileFeature
from db.types import utc_now
from maploop.imagery.pixel_records import may_have_pixels, without_pixels
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectView
from maploop.review import claims
from maploop.review.wire import Order, TileFilter

ATTEMPTS = 8


@dataclass(frozen=True)
class Drawn:
    """A tile claimed for an annotator, and how it was found: an order's name, `returned`, `address` or `resumed`.

    `was_held` tells that the annotator held it before: another window may be at work on it.
    """

    tile_id: int
    drawn_by: str
    was_held: bool = False


_TILE = select(Tile.id).where(
    Tile.project_id == bindparam("project"),
    Tile.z == bindparam("z"),
    Tile.x == bindparam("x"),
    Tile.y == bindparam("y"),
)


def tile_rows(connection: Connection, project_id: int, addresses: Sequence[TileAddress]) -> list[int]:
    """The ids of those tiles that the project has."""
    if not addresses:
        return []
    places = tuple_(Tile.z, Tile.x, Tile.y).in_([(each.z, each.x, each.y) for each in addresses])
    return list(connection.execute(select(Tile.id).where(Tile.project_id == project_id, places)).scalars())


def tile_row(connection: Connection, project_id: int, address: TileAddress) -> int | None:
    """The id of a project's tile; None when the project does not have it."""
    where = {"project": project_id, "z": address.z, "x": address.x, "y": address.y}
    return connection.execute(_TILE, where).scalar()


def _has_feature(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(TileFeature.tile_id == Tile.id, Feature.id == TileFeature.feature_id, condition)


def _fits(project: ProjectView, wanted: TileFilter) -> list[ColumnElement[bool]]:
    """Conditions on a tile that make it fit the filter."""
    if wanted.is_empty:
        return []
    condition = undecided()
    if wanted.verdict is not None:
        condition = and_(Feature.verdict == wanted.verdict, Feature.withdrawn.is_(False))
    if wanted.class_name is not None:
        condition = and_(condition, Feature.class_id == project.class_named(wanted.class_name).id)
    if wanted.min_score is not None or wanted.max_score is not None:
        low, high = wanted.min_score or 0.0, 1.0 if wanted.max_score is None else wanted.max_score
        scored = select(Prediction.id).where(
            Prediction.id == Feature.prediction_id, Prediction.score.between(low, high)
        )
        condition = and_(condition, scored.exists())
    return [_has_feature(condition)]


def _candidates(project_id: int, annotator_id: int, holding: Sequence[int]) -> Select[int]:
    """Tiles that nobody else holds, with imagery in which nobody has found a hole there."""
    query = (
        select(Tile.id)
        .outerjoin(Claim, Claim.tile_id == Tile.id)
        .where(
            Tile.project_id == project_id,
            counts(),
            may_have_pixels(),
            or_(Claim.tile_id.is_(None), Claim.expires_at <= utc_now(), Claim.annotator_id == annotator_id),
        )
    )
    return query.where(Tile.id.not_in(holding)) if holding else query


def _sorted(query: Select[int], order: Order) -> Select[int]:
    if order == "place":
        return query.order_by(Tile.quadkey)
    if order == "random":
        return query.order_by(Tile.shuffle)
    return query.order_by(Tile.uncertainty.desc(), Tile.id)


def draw_next(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    *,
    order: Order = "mixed",
    random_share: float = 0.2,
    wanted: TileFilter | None = None,
    holding: Sequence[int] = (),
    ahead: bool = False,
) -> Drawn | None:
    """Claim the next tile for an annotator; needs a write transaction.

    First what a reviewer returned to this annotator or what was opened again of theirs, then what they hold already,
    then open tiles in the order asked for (mixed: a `random_share` at random, the rest most uncertain first), then
    finished tiles on which a newer model found something, last what was returned to others.
    """
    wanted = wanted or TileFilter()
    seconds = project.settings.claim_seconds
    if order == "mixed":
        order = "random" if random.random() < random_share else "uncertainty"  # noqa: S311  not a secret
    free = _candidates(project.id, annotator_id, holding).where(*_fits(project, wanted))
    own = Tile.finished_by == annotator_id
    opened_again = and_(Tile.status == "open", Tile.comment != "")  # by what happened elsewhere, as the comment says
    if wanted.verdict is not None:
        tiers: list[tuple[Select[int], str]] = [(free, order)]
    else:
        held = free.where(Claim.annotator_id == annotator_id, Claim.expires_at > utc_now(), Tile.status == "open")
        tiers = [
            (free.where(or_(Tile.status == "returned", opened_again), own), "returned"),
            (held, "resumed"),
            (free.where(Tile.status == "open"), order),
            (free.where(Tile.status.in_(("complete", "approved")), _has_feature(undecided())), "second_look"),
            (free.where(Tile.status == "returned"), "returned"),
        ]
    for query, drawn_by in tiers:
        for _ in range(ATTEMPTS):  # on PostgreSQL somebody may take the tile between the look and the claim
            tile_id = connection.execute(_sorted(query, order).limit(1)).scalar()
            if tile_id is None:
                break
            origin = "" if drawn_by == "resumed" else drawn_by
            was_held = claims.is_held_by(connection, tile_id, annotator_id)
            if claims.take(connection, tile_id, annotator_id, seconds, ahead=ahead, drawn_by=origin):
                return Drawn(tile_id, drawn_by, was_held)
    return None


def finished_before(
    connection: Connection, project_id: int, annotator_id: int, address: TileAddress
) -> TileAddress | None:
    """The tile this annotator finished last, or last before the one given when they finished that too."""
    mine = (
        select(Tile.z, Tile.x, Tile.y, func.max(TileEvent.seq).label("seq"))
        .join(TileEvent, TileEvent.tile_id == Tile.id)
        .where(Tile.project_id == project_id, TileEvent.annotator_id == annotator_id, TileEvent.act == "complete")
        .group_by(Tile.id)
    ).subquery()
    this = select(mine.c.seq).where(mine.c.z == address.z, mine.c.x == address.x, mine.c.y == address.y)
    seq = connection.execute(this).scalar()
    query = select(mine.c.z, mine.c.x, mine.c.y).order_by(mine.c.seq.desc()).limit(1)
    row = connection.execute(query.where(mine.c.seq < seq) if seq is not None else query).first()
    return TileAddress(*row) if row else None


class Nothing(TypedDict):
    """Why there is no tile: one sentence, and the page that leads on from here, if one does."""

    reason: str
    page: Literal["import", "quality"] | None


def why_nothing(connection: Connection, project: ProjectView, annotator_id: int, wanted: TileFilter) -> Nothing:
    """Why the queue is empty for this annotator, and what to do."""

    def count(*conditions: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(Tile).where(Tile.project_id == project.id, counts(), *conditions)
        return connection.execute(query).scalar_one()

    if not count():
        return {"reason": "The project has no tiles yet: import imagery first.", "page": "import"}
    if not wanted.is_empty:
        return {"reason": "No free tile has a feature that fits the filter: widen it, or clear it.", "page": None}
    unfinished = count(Tile.status.in_(("open", "returned")))
    blind = count(Tile.status.in_(("open", "returned")), without_pixels())
    bare = count(Tile.status.in_(("open", "returned")), Tile.imagery_id.is_(None))
    if unfinished and blind == unfinished:
        what = "imagery" if bare else "pixels"
        reason = f"{_tiles_have(blind)} no {what}: import imagery that covers {'it' if blind == 1 else 'them'}."
        return {"reason": reason, "page": "import"}
    others = connection.execute(
        select(func.count(), func.min(Claim.expires_at), func.count(Claim.annotator_id.distinct()))
        .join(Tile, Tile.id == Claim.tile_id)
        .where(Tile.project_id == project.id, Claim.annotator_id != annotator_id, Claim.expires_at > utc_now())
    ).one()
    if others[0] and unfinished:
        minutes = max(1, round((others[1] - utc_now()).total_seconds() / 60))
        people = "1 other person" if others[2] == 1 else f"{others[2]} other people"
        last = "The last open tile is" if others[0] == 1 else f"The last {others[0]} open tiles are"
        return {
            "reason": f"{last} held by {people}; the next comes free in {minutes} min if it is left alone.",
            "page": None,
        }
    decided = connection.execute(
        select(func.count()).select_from(Decision).where(Decision.project_id == project.id)
    ).scalar_one()
    finished = count(Tile.status.in_(("complete", "approved")))
    reason = f"Every tile is finished: {finished} tiles, {decided} decisions. Next: spot check, then export."
    return {"reason": reason, "page": "quality"}


def _tiles_have(count: int) -> str:
    return "The open tile has" if count == 1 else f"The {count} open tiles have"
