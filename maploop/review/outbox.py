"""What arrives from a browser's outbox: entries in order, each stored once, refused ones reported, one transaction."""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from db.conditions import undecided
from db.errors import DatabaseError
from db.models import Audit, AuditSample, Claim, Feature, Tile, TileEvent, TileFeature
from db.savepoint import savepoint
from db.types import utc_now
from maploop.errors import ClaimError, ConflictError, InputError, MaploopError, NotFoundError
from maploop.imagery.tilemath import parse_tile
from maploop.project import ProjectView
from maploop.quality.audits import finish_audit
from maploop.review import claims
from maploop.review.approval import still_approved
from maploop.review.decisions import Desk, FeatureMovedError, already_stored, store_decision
from maploop.review.deck import features_of, standing_in_audit
from maploop.review.neighbours import reopen_neighbours
from maploop.review.progress import progress_of
from maploop.review.standing import Standing
from maploop.review.wire import DecisionEntry, Incoming, TileEntry, read_entries

log = logging.getLogger(__name__)

# Built once: for queries as small as these, building one takes longer than answering it.
_TILE_AND_CLAIM = (
    select(Tile.id, Tile.status, Claim.annotator_id, Claim.expires_at)
    .outerjoin(Claim, Claim.tile_id == Tile.id)
    .where(
        Tile.project_id == bindparam("project"),
        Tile.z == bindparam("z"),
        Tile.x == bindparam("x"),
        Tile.y == bindparam("y"),
    )
)
_UNDECIDED_ON_TILE = (
    select(func.count())
    .select_from(TileFeature)
    .join(Feature, Feature.id == TileFeature.feature_id)
    .where(TileFeature.tile_id == bindparam("tile"), undecided())
)
_LOCK_TILE = select(Tile.id).where(Tile.id == bindparam("tile")).with_for_update()
_DRAWN_BY = select(Claim.drawn_by).where(Claim.tile_id == bindparam("tile"))
_CHANGE_TILE = update(Tile).where(Tile.id == bindparam("tile"))
_EVENT = select(TileEvent.seq).where(TileEvent.id == bindparam("event"))
_ADD_EVENT = insert(TileEvent)


def store_outbox(connection: Connection, project: ProjectView, annotator_id: int, entries: object) -> dict[str, Any]:
    """Store entries in order; answers `stored`, `refused` and, after a finished tile, `progress`.

    Needs a write transaction; what it answers is true once that is committed. `entries` come as they are, or as
    `read_entries` made them before there was a transaction, so that nobody waits for it. Raises InputError when they
    are no list of at most 500.
    """
    if not isinstance(entries, list) or not all(isinstance(each, Incoming) for each in entries):
        entries = read_entries(entries, project.geometry_types)
    box = _Outbox(connection, project, annotator_id)
    for item in entries:
        box.take(item)
    answer: dict[str, Any] = {"stored": box.stored, "refused": box.refused}
    if box.finished_a_tile:
        answer["progress"] = progress_of(connection, project.id, annotator_id)
    return answer


class _Outbox:
    """The entries of one request: desks and claims are looked up once a tile."""

    def __init__(self, connection: Connection, project: ProjectView, annotator_id: int) -> None:
        self.connection = connection
        self.project = project
        self.annotator_id = annotator_id
        self.stored: list[str] = []
        self.refused: list[dict[str, Any]] = []
        self.finished_a_tile = False
        self._desks: dict[str, Desk] = {}
        self._held: set[int] = set()
        self._open: set[int] = set()

    def take(self, item: Incoming) -> None:
        """Store or refuse one entry: of one that is refused nothing is written, and the others do not notice.

        Raises what the database itself cannot do (busy, full, gone): then nothing of the request is stored.
        """
        entry, shown = item.entry, None
        if entry is None:
            self.refused.append({"id": item.id, "code": "invalid", "message": item.problem, "feature": None})
            return
        try:
            desk = self._desk(entry.tile)
            with savepoint(self.connection):
                if isinstance(entry, DecisionEntry):
                    self._decide(desk, entry)
                else:
                    self._act(desk, entry)
        except ClaimError as error:
            code, text = "claim", str(error)
        except FeatureMovedError as error:
            code, text = "conflict", str(error)
            shown = self._feature(entry, desk, error.feature_id)
        except MaploopError as error:
            code, text = "invalid", str(error)
        except Exception as error:
            if _is_of_the_database(error):
                raise
            log.exception("Entry %s cannot be stored", item.id)
            code, text = "failed", f"The server could not store this ({type(error).__name__}); its log says more."
        else:
            self.stored.append(str(entry.id))
            return
        self._forget_tiles()
        self.refused.append({"id": item.id, "code": code, "message": text, "feature": shown})

    def _feature(self, entry: DecisionEntry | TileEntry, desk: Desk, feature_id: int) -> dict[str, Any] | None:
        found = features_of(self.connection, self.project, desk.tile_id, audit=entry.audit, feature_id=feature_id)
        return found[0] if found else None

    def _forget_tiles(self) -> None:
        """What was noted of tiles may have been taken back with a refused entry: look again."""
        self._desks.clear()
        self._held.clear()
        self._open.clear()

    def _desk(self, text: str) -> Desk:
        if text not in self._desks:
            address = parse_tile(text)
            where = {"project": self.project.id, "z": address.z, "x": address.x, "y": address.y}
            row = self.connection.execute(_TILE_AND_CLAIM, where).first()
            if row is None:
                msg = f"{address} is not a tile of {self.project.name!r}."
                raise NotFoundError(msg)
            if row.annotator_id == self.annotator_id and row.expires_at > self._half_a_lease_from_now():
                self._held.add(row.id)
            if row.status == "open":
                self._open.add(row.id)
            self._desks[text] = Desk(self.project, self.annotator_id, row.id, address)
        return self._desks[text]

    def _half_a_lease_from_now(self) -> datetime:
        return utc_now() + timedelta(seconds=self.project.settings.claim_seconds / 2)

    def _hold(self, desk: Desk) -> None:
        """Make sure that the tile is held, renewing the lease when half of it is over. Raises ClaimError."""
        if desk.tile_id not in self._held:
            seconds = self.project.settings.claim_seconds
            claims.require(self.connection, desk.tile_id, str(desk.address), self.annotator_id, seconds)
            self._held.add(desk.tile_id)

    def _decide(self, desk: Desk, entry: DecisionEntry) -> None:
        if already_stored(self.connection, str(entry.id), desk):
            return
        if entry.audit is not None:
            if require_audit(self.connection, entry.audit, desk):
                msg = f"The audit of tile {desk.address} is finished."
                raise ConflictError(msg)
            standing = standing_in_audit(self.connection, entry.audit)
            store_decision(self.connection, desk, entry, lambda row: _standing_in(standing, row))
            return
        self._hold(desk)
        change = store_decision(self.connection, desk, entry)
        if desk.tile_id not in self._open:
            self._reopen(desk, str(uuid4()))
        if reopen_neighbours(self.connection, desk, change, is_undo=entry.verdict == "undo"):
            self._desks.clear()  # their status is another now

    def _reopen(self, desk: Desk, event_id: str, seconds: float = 0.0) -> None:
        """A finished tile on which somebody decides again is open again, until it is said to be complete."""
        if desk.tile_id in self._open:
            return
        self.connection.execute(_CHANGE_TILE, {"tile": desk.tile_id, "status": "open"})
        self._record(desk, event_id, "reopen", seconds, "address")
        self._open.add(desk.tile_id)

    def _act(self, desk: Desk, entry: TileEntry) -> None:
        event_id = str(entry.id)
        if entry.act == "release":
            claims.release(self.connection, desk.tile_id, self.annotator_id)
            self._held.discard(desk.tile_id)
            return
        if self.connection.execute(_EVENT, {"event": event_id}).first():
            return
        if entry.audit is not None:
            is_finished = require_audit(self.connection, entry.audit, desk)
            if entry.act == "complete" and not is_finished:
                finish_audit(self.connection, entry.audit)
            return
        self._hold(desk)
        if entry.act == "reopen":
            self._reopen(desk, event_id, entry.seconds)
        elif entry.act == "complete":
            self._complete(desk, event_id, entry.seconds)

    def _complete(self, desk: Desk, event_id: str, seconds: float) -> None:
        """Say "nothing missing". Raises ConflictError while a feature is undecided."""
        self.connection.execute(_LOCK_TILE, {"tile": desk.tile_id})
        left = self.connection.execute(_UNDECIDED_ON_TILE, {"tile": desk.tile_id}).scalar_one()
        if left:
            msg = f"Tile {desk.address} still has {left} undecided: decide them before saying that nothing is missing."
            raise ConflictError(msg)
        drawn_by = self.connection.execute(_DRAWN_BY, {"tile": desk.tile_id}).scalar_one()
        status = "approved" if still_approved(self.connection, desk.tile_id) else "complete"
        self._record(desk, event_id, "complete", seconds, drawn_by)
        finished = {"status": status, "finished_by": self.annotator_id, "finished_at": utc_now(), "comment": ""}
        self.connection.execute(_CHANGE_TILE, {"tile": desk.tile_id, **finished})
        claims.release(self.connection, desk.tile_id, self.annotator_id)
        self._held.discard(desk.tile_id)
        self._open.discard(desk.tile_id)
        self.finished_a_tile = True

    def _record(self, desk: Desk, event_id: str, act: str, seconds: float, drawn_by: str) -> None:
        event = {
            "id": event_id,
            "tile_id": desk.tile_id,
            "annotator_id": self.annotator_id,
            "act": act,
            "seconds": seconds,
            "drawn_by": drawn_by,
        }
        self.connection.execute(_ADD_EVENT, event)


def _is_of_the_database(error: Exception) -> bool:
    """True when the database itself is at fault, not the entry: busy, full, gone, or a transaction to begin again."""
    if isinstance(error, DatabaseError):
        return True
    return isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError)


def require_audit(connection: Connection, audit_id: int, desk: Desk) -> bool:
    """Make sure that the audit is this reviewer's and of this tile; True when it is finished. Raises InputError."""
    found = connection.execute(
        select(Audit.finished_at)
        .join(AuditSample, AuditSample.id == Audit.sample_id)
        .where(Audit.id == audit_id, Audit.tile_id == desk.tile_id, AuditSample.reviewer_id == desk.annotator_id)
    ).one_or_none()
    if found is None:
        msg = f"Audit {audit_id} is not yours to decide on tile {desk.address}."
        raise InputError(msg)
    return found.finished_at is not None


def _standing_in(standing: dict[int, RowMapping], feature: RowMapping) -> Standing:
    """What holds for a feature within an audit: the reviewer's own decision, else what the model said."""
    row = standing.get(feature["id"])
    if row is not None:
        return Standing(row["verdict"], row["class_id"], row["geometry"], row["id"])
    if feature["prediction_id"] is None:
        return Standing(None, feature["class_id"], feature["geometry"], None)
    return Standing(None, feature["predicted_class_id"], feature["predicted_geometry"], None)
