"""Storing decisions: each is checked, kept for ever, and moves the feature it is about, in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from db.models import Decision, Feature, Import, ImportFeature, Prediction, Run, Tile, TileFeature
from db.types import utc_now
from maploop.errors import ConflictError, InputError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.predict.withdrawal import settle_withdrawn
from maploop.project import ProjectView
from maploop.review.standing import Standing
from maploop.review.wire import DecisionEntry
from maploop.vectors.geometry import GeometryType, as_geometries, split_by_tiles

MAX_TILES_A_FEATURE = 400


@dataclass(frozen=True)
class Desk:
    """Where a decision is made: one tile that the annotator holds, or audits."""

    project: ProjectView
    annotator_id: int
    tile_id: int
    address: TileAddress


@dataclass(frozen=True)
class Change:
    """Effect of a stored decision on a feature; `left`: ids of the tiles it lay on before it was moved."""

    feature_id: int
    before: Standing | None
    after: Standing
    left: frozenset[int] = frozenset()


class FeatureMovedError(ConflictError):
    """The feature has changed since the browser saw it; `feature_id` names it."""

    def __init__(self, message: str, feature_id: int) -> None:
        super().__init__(message)
        self.feature_id = feature_id


_OWNER = select(Decision.annotator_id, Decision.project_id).where(Decision.id == bindparam("decision"))


def already_stored(connection: Connection, entry_id: str, desk: Desk) -> bool:
    """True when this very decision is on disk. Raises InputError when its id belongs to somebody else's."""
    row = connection.execute(_OWNER, {"decision": entry_id}).one_or_none()
    if row is None:
        return False
    if tuple(row) != (desk.annotator_id, desk.project.id):
        msg = f"Decision {entry_id} was stored by somebody else: make a new id."
        raise InputError(msg)
    return True


def store_decision(
    connection: Connection,
    desk: Desk,
    entry: DecisionEntry,
    standing_of: Callable[[RowMapping], Standing] | None = None,
) -> Change:
    """Store one decision and move its feature -> what that changes.

    Raises InputError, or FeatureMovedError when another decision stands.

    In an audit (`entry.audit`) the decision is kept and the feature stays where the annotator left it; `standing_of`
    then says what stands in that audit.
    """
    if entry.verdict == "add":
        return _store_addition(connection, desk, entry)
    feature = _feature_row(connection, desk, entry.feature)
    before = standing_of(feature) if standing_of else _standing(feature)
    expected = str(entry.standing) if entry.standing else None
    if before.decision_id != expected:
        msg = "Somebody decided this feature in the meantime; it is shown as it is now."
        raise FeatureMovedError(msg, feature["id"])
    after = _undone(connection, desk, entry, feature, before) if entry.verdict == "undo" else None
    if after is None:
        after = _decided(desk, entry, feature, before)
    previous = expected if entry.verdict != "undo" else after.decision_id
    _insert(connection, desk, entry, feature, before, after, previous)
    left = _move(connection, desk, feature, before, after) if entry.audit is None else frozenset[int]()
    return Change(int(feature["id"]), before, after, left)


# Locked: who decides it from another tile at this moment waits, and finds this decision standing.
_FEATURE = (
    select(
        Feature.__table__,
        Prediction.geometry.label("predicted_geometry"),
        Prediction.class_id.label("predicted_class_id"),
        Run.model_id,
    )
    .join(TileFeature, TileFeature.feature_id == Feature.id)
    .outerjoin(Prediction, Prediction.id == Feature.prediction_id)
    .outerjoin(Run, Run.id == Prediction.run_id)
    .where(TileFeature.tile_id == bindparam("tile"), Feature.project_id == bindparam("project"))
    .with_for_update(of=Feature.__table__)
)
_FEATURE_BY_ID = _FEATURE.where(Feature.id == bindparam("reference"))
_FEATURE_BY_ADDITION = _FEATURE.where(Feature.added_as == bindparam("reference"))


def _feature_row(connection: Connection, desk: Desk, reference: int | UUID | None) -> RowMapping:
    """The feature of this tile that the browser means, with its prediction's model. Raises InputError."""
    if reference is None:
        msg = "The decision names no feature."
        raise InputError(msg)
    query, key = (_FEATURE_BY_ADDITION, str(reference)) if isinstance(reference, UUID) else (_FEATURE_BY_ID, reference)
    where = {"tile": desk.tile_id, "project": desk.project.id, "reference": key}
    row = connection.execute(query, where).mappings().first()
    if row is None:
        msg = f"Feature {reference} is not on tile {desk.address}."
        raise InputError(msg)
    return row


def _standing(feature: RowMapping) -> Standing:
    return Standing(feature["verdict"], feature["class_id"], feature["geometry"], feature["decision_id"])


def _model_standing(feature: RowMapping) -> Standing:
    """What the model said of the feature; for one that a person added, what stands."""
    if feature["prediction_id"] is None:
        return Standing(None, feature["class_id"], feature["geometry"], None)
    return Standing(None, feature["predicted_class_id"], feature["predicted_geometry"], None)


def _decided(desk: Desk, entry: DecisionEntry, feature: RowMapping, before: Standing) -> Standing:
    """The state a verdict leads to. Accept takes what the model said; correct takes what the browser sent."""
    decision_id = str(entry.id)
    if entry.verdict == "accept":
        if feature["prediction_id"] is None:
            msg = "Nothing predicted this feature, so there is nothing to accept: it was added by a person."
            raise InputError(msg)
        said = _model_standing(feature)
        return Standing("accept", said.class_id, said.geometry, decision_id)
    if entry.verdict in ("reject", "unsure"):
        return Standing(entry.verdict, before.class_id, before.geometry, decision_id)
    chosen = desk.project.class_named(entry.class_name)
    known = desk.project.class_with_id(before.class_id)
    if chosen.geometry_type != known.geometry_type:
        msg = (
            f"{known.name} is a {known.geometry_type}, {chosen.name} a {chosen.geometry_type}: reject it and draw anew."
        )
        raise InputError(msg)
    geometry = before.geometry
    if entry.geometry is not None:
        geometry = _checked_geometry(entry, chosen.geometry_type, desk.address)
    return Standing("correct", chosen.id, geometry, decision_id)


def _undone(
    connection: Connection, desk: Desk, entry: DecisionEntry, feature: RowMapping, before: Standing
) -> Standing:
    """The state before the decision that `entry` takes back, without what imports taken back since had decided.

    Raises InputError, FeatureMovedError.
    """
    if str(entry.undoes) != before.decision_id:
        msg = "That decision does not stand any more; the feature is shown as it is now."
        raise FeatureMovedError(msg, feature["id"])
    undone = connection.execute(
        select(Decision.annotator_id, Decision.previous_id).where(Decision.id == before.decision_id)
    ).one()
    if undone.annotator_id != desk.annotator_id:
        msg = "That decision is somebody else's: decide anew instead of undoing it."
        raise InputError(msg)
    previous_id = undone.previous_id
    while previous_id is not None:
        earlier = connection.execute(_EARLIER, {"decision": previous_id}).one()
        if earlier.undone_at is None or _is_vouched_for(connection, feature["id"]):
            return Standing(earlier.verdict, earlier.class_id, earlier.geometry, previous_id)
        previous_id = earlier.previous_id
    return _model_standing(feature)


_EARLIER = (
    select(Decision.verdict, Decision.class_id, Decision.geometry, Decision.previous_id, Import.undone_at)
    .outerjoin(Import, Import.id == Decision.import_id)
    .where(Decision.id == bindparam("decision"))
)
_VOUCHED_FOR = (
    select(ImportFeature.feature_id)
    .join(Import, Import.id == ImportFeature.import_id)
    .where(ImportFeature.feature_id == bindparam("feature"), Import.undone_at.is_(None))
    .limit(1)
)


def _is_vouched_for(connection: Connection, feature_id: int) -> bool:
    """Whether known truth that was not taken back holds the annotation too."""
    return connection.execute(_VOUCHED_FOR, {"feature": feature_id}).first() is not None


def _checked_geometry(entry: DecisionEntry, geometry_type: GeometryType, address: TileAddress) -> BaseGeometry:
    """A geometry from the browser, valid, touching the tile and not reaching far beyond it. Raises InputError."""
    shape = entry.shape(geometry_type)
    if not shape.intersects(address.polygon):
        msg = f"The {geometry_type} lies outside tile {address}: draw it where the tile is."
        raise InputError(msg)
    return shape


def _store_addition(connection: Connection, desk: Desk, entry: DecisionEntry) -> Change:
    if entry.geometry is None:
        msg = "An added feature needs a geometry."
        raise InputError(msg)
    chosen = desk.project.class_named(entry.class_name)
    geometry = _checked_geometry(entry, chosen.geometry_type, desk.address)
    decision_id = str(entry.id)
    counts = entry.audit is None  # what a reviewer adds in an audit is on record, but is no annotation
    feature_id = connection.execute(
        insert(Feature)
        .values(
            project_id=desk.project.id,
            class_id=chosen.id,
            geometry=geometry,
            verdict="add" if counts else None,
            decision_id=decision_id if counts else None,
            added_as=decision_id,
        )
        .returning(Feature.id)
    ).scalar_one()
    _place(connection, desk, feature_id, geometry)
    feature = {"id": feature_id, "prediction_id": None, "model_id": None}
    after = Standing("add", chosen.id, geometry, decision_id)
    _insert(connection, desk, entry, feature, None, after, None)
    return Change(feature_id, None, after)


_INSERT = insert(Decision)
_MOVE = update(Feature).where(Feature.id == bindparam("feature"))


def _insert(
    connection: Connection,
    desk: Desk,
    entry: DecisionEntry,
    feature: Any,
    before: Standing | None,
    after: Standing,
    previous: str | None,
) -> None:
    row = {
        "id": str(entry.id),
        "project_id": desk.project.id,
        "tile_id": desk.tile_id,
        "feature_id": feature["id"],
        "prediction_id": feature["prediction_id"],
        "model_id": feature["model_id"],
        "annotator_id": desk.annotator_id,
        "audit_id": entry.audit,
        "verdict": entry.verdict,
        "reason": entry.reason if entry.verdict == "reject" else None,
        "class_before_id": before.class_id if before else None,
        "class_id": after.class_id,
        "geometry_before": before.geometry if before else None,
        "geometry": after.geometry,
        "seconds": entry.seconds,
        "undoes": str(entry.undoes) if entry.verdict == "undo" else None,
        "previous_id": previous,
        "made_at": entry.made_at if entry.made_at.tzinfo else utc_now(),
    }
    connection.execute(_INSERT, row)


def _move(connection: Connection, desk: Desk, feature: RowMapping, before: Standing, after: Standing) -> frozenset[int]:
    """Leave a feature as a decision says -> the tiles it lay on, when it is placed anew.

    One that is undecided again is shown only where it still may be.
    """
    feature_id = feature["id"]
    row = {
        "feature": feature_id,
        "verdict": after.verdict,
        "class_id": after.class_id,
        "geometry": after.geometry,
        "decision_id": after.decision_id,
        "withdrawn": False,
    }
    connection.execute(_MOVE, row)
    left: frozenset[int] = frozenset()
    if not shapely.equals_identical(before.geometry, after.geometry):
        gone = delete(TileFeature).where(TileFeature.feature_id == feature_id).returning(TileFeature.tile_id)
        left = frozenset(connection.execute(gone).scalars())
        _place(connection, desk, feature_id, after.geometry)
    if after.verdict is None:
        settle_withdrawn(connection, [feature_id])
    return left


def _place(connection: Connection, desk: Desk, feature_id: int, geometry: BaseGeometry) -> None:
    """Say which of the project's tiles the feature touches; the tile it was decided on is always one of them."""
    touched = split_by_tiles(as_geometries([geometry]), desk.project.zoom)
    if len(touched.x) > MAX_TILES_A_FEATURE or len(touched.oversized):
        msg = f"The feature spans more than {MAX_TILES_A_FEATURE} tiles: draw it in parts."
        raise InputError(msg)
    places = {(int(x), int(y)) for x, y in zip(touched.x, touched.y, strict=True)}
    tiles = {desk.tile_id}
    if places - {(desk.address.x, desk.address.y)}:
        xs, ys = [x for x, _ in places], [y for _, y in places]
        rows = connection.execute(
            select(Tile.id, Tile.x, Tile.y).where(
                Tile.project_id == desk.project.id,
                Tile.z == desk.project.zoom,
                Tile.x.between(min(xs), max(xs)),
                Tile.y.between(min(ys), max(ys)),
            )
        )
        tiles |= {row.id for row in rows if (row.x, row.y) in places}
    connection.execute(insert(TileFeature), [{"tile_id": tile, "feature_id": feature_id} for tile in sorted(tiles)])
