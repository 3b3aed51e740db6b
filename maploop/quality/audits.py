"""Audits: what a reviewer decided blind, when an audit is finished, when its sample is."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, RowMapping, exists, func, select, update

from db.models import Audit, AuditSample, Decision, Feature, Tile, TileEvent, TileFeature
from db.types import utc_now
from maploop.errors import ConflictError, NotFoundError
from maploop.imagery.tilemath import Tile as TileAddress


def standing_decisions(
    rows: Iterable[RowMapping], until: datetime | None = None, *, last: int | None = None
) -> dict[int, RowMapping]:
    """Feature id -> the decision that stands after `rows`, undone ones left out.

    With `last` (a `seq`), as it was after that decision; where that is not known, with `until`, as it was at that time.
    `rows` come oldest first and belong to one audit, or to none.
    """
    known: dict[str, RowMapping] = {}
    standing: dict[int, RowMapping] = {}
    for row in rows:
        if last is not None:
            if row["seq"] > last:
                continue
        elif until is not None and row["stored_at"] > until:
            continue
        known[row["id"]] = row
        holds = known.get(row["previous_id"]) if row["verdict"] == "undo" else row
        if holds is None:
            standing.pop(row["feature_id"], None)
        else:
            standing[row["feature_id"]] = holds
    return standing


def finish_audit(connection: Connection, audit_id: int) -> None:
    """Say that the reviewer has looked at the whole tile; the last one closes the sample. Finishing again does nothing.

    Raises NotFoundError, or ConflictError while a predicted feature has no decision of this audit.
    """
    row = connection.execute(
        select(Audit.sample_id, Audit.tile_id, Audit.finished_at, Tile.z, Tile.x, Tile.y)
        .join(Tile, Tile.id == Audit.tile_id)
        .where(Audit.id == audit_id)
    ).one_or_none()
    if row is None:
        msg = f"There is no audit {audit_id}: draw a sample on the Quality page."
        raise NotFoundError(msg)
    if row.finished_at is not None:
        return
    left = _undecided(connection, audit_id, row.tile_id)
    if left:
        address = TileAddress(row.z, row.x, row.y)
        msg = f"The audit of tile {address} has {left} undecided: decide them before saying that nothing is missing."
        raise ConflictError(msg)
    now = utc_now()
    connection.execute(
        update(Audit)
        .where(Audit.id == audit_id)
        .values(
            finished_at=now,
            after_decision=select(func.max(Decision.seq)).scalar_subquery(),
            after_event=select(func.coalesce(func.max(TileEvent.seq), 0)).scalar_subquery(),
        )
    )
    unfinished = exists().where(Audit.sample_id == row.sample_id, Audit.finished_at.is_(None))
    connection.execute(
        update(AuditSample)
        .where(AuditSample.id == row.sample_id, AuditSample.closed_at.is_(None), ~unfinished)
        .values(closed_at=now)
    )


def close_sample(connection: Connection, project_id: int, sample_id: int) -> None:
    """End a spot check early: its open audits free their tiles, its finished ones count. Raises NotFoundError."""
    found = connection.execute(
        update(AuditSample)
        .where(AuditSample.id == sample_id, AuditSample.project_id == project_id)
        .values(closed_at=func.coalesce(AuditSample.closed_at, utc_now()))
    )
    if not found.rowcount:
        msg = f"There is no spot check {sample_id} in this project."
        raise NotFoundError(msg)


def _undecided(connection: Connection, audit_id: int, tile_id: int) -> int:
    """How many predicted features of the tile have no decision of the audit that stands."""
    rows = connection.execute(
        select(Decision.id, Decision.feature_id, Decision.verdict, Decision.previous_id)
        .where(Decision.audit_id == audit_id)
        .order_by(Decision.seq)
    ).mappings()
    predicted = connection.execute(
        select(Feature.id)
        .join(TileFeature, TileFeature.feature_id == Feature.id)
        .where(TileFeature.tile_id == tile_id, Feature.prediction_id.is_not(None), Feature.withdrawn.is_(False))
    ).scalars()
    return len(set(predicted) - set(standing_decisions(rows)))
