"""Spot checks that were drawn: how far each is, its audits, and which tile comes next."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, SQLColumnExpression, case, exists, func, select

from db.models import Annotator, Audit, AuditSample, Decision, Tile, TileEvent
from maploop.errors import AccessError, NotFoundError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectView

FINISHED = ("complete", "approved")


def finished_since(seq: SQLColumnExpression[Any], moment: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """Build the condition that a tile was finished after an act on a tile (`seq`); where unknown, after a moment."""
    later = exists().where(TileEvent.tile_id == Tile.id, TileEvent.act == "complete", TileEvent.seq > seq)
    return case((seq.is_not(None), later), else_=Tile.finished_at > moment)


@dataclass(frozen=True)
class SampleView:
    """A spot check: who draws on it, how it was drawn, and how far it is."""

    id: int
    reviewer_id: int
    reviewer: str
    criteria: dict[str, Any]
    created_at: datetime
    closed_at: datetime | None
    total: int
    finished: int

    @property
    def is_open(self) -> bool:
        """True while there is something left to look at."""
        return self.closed_at is None


@dataclass(frozen=True)
class AuditView:
    """One tile of a spot check; `tile_status` is as it is now, `outcome` what the reviewer made of it."""

    id: int
    tile_id: int
    address: TileAddress
    annotator_id: int
    annotator: str
    stratum: str
    finished_at: datetime | None
    outcome: str | None
    tile_status: str


def list_samples(connection: Connection, project: ProjectView) -> list[SampleView]:
    """All spot checks of a project, newest first."""
    rows = connection.execute(_samples().where(AuditSample.project_id == project.id).order_by(AuditSample.id.desc()))
    return [SampleView(**row) for row in rows.mappings()]


def load_sample(connection: Connection, project: ProjectView, sample_id: int) -> SampleView:
    """One spot check of a project. Raises NotFoundError."""
    row = (
        connection.execute(_samples().where(AuditSample.project_id == project.id, AuditSample.id == sample_id))
        .mappings()
        .first()
    )
    if row is None:
        msg = f"There is no spot check {sample_id} in {project.name!r}: draw one on the Quality page."
        raise NotFoundError(msg)
    return SampleView(**row)


def audits_of(connection: Connection, sample_id: int) -> list[AuditView]:
    """The audits of a spot check, in the order they are looked at."""
    rows = connection.execute(
        select(
            Audit.id,
            Audit.tile_id,
            Audit.annotator_id,
            Audit.stratum,
            Audit.finished_at,
            Audit.outcome,
            Annotator.name,
            Tile.z,
            Tile.x,
            Tile.y,
            Tile.status,
        )
        .join(Tile, Tile.id == Audit.tile_id)
        .join(Annotator, Annotator.id == Audit.annotator_id)
        .where(Audit.sample_id == sample_id)
        .order_by(Audit.id)
    )
    return [
        AuditView(
            id=row.id,
            tile_id=row.tile_id,
            address=TileAddress(row.z, row.x, row.y),
            annotator_id=row.annotator_id,
            annotator=row.name,
            stratum=row.stratum,
            finished_at=row.finished_at,
            outcome=row.outcome,
            tile_status=row.status,
        )
        for row in rows
    ]


def next_audit(
    connection: Connection,
    sample_id: int,
    reviewer_id: int,
    *,
    tile: TileAddress | None = None,
    holding: Collection[TileAddress] = (),
) -> tuple[int, TileAddress] | None:
    """The audit to look at next and its tile, one already begun first; None when nothing is left.

    Tiles that are not finished any more, or that the reviewer finished in the meantime, are passed over, and those in
    `holding`; with `tile` it is that one or none. Raises NotFoundError, or AccessError when the spot check is somebody
    else's.
    """
    sample = connection.execute(
        select(AuditSample.reviewer_id, AuditSample.closed_at).where(AuditSample.id == sample_id)
    ).one_or_none()
    if sample is None:
        msg = f"There is no spot check {sample_id}: draw one on the Quality page."
        raise NotFoundError(msg)
    if sample.reviewer_id != reviewer_id:
        msg = f"Spot check {sample_id} is somebody else's: draw one of your own on the Quality page."
        raise AccessError(msg)
    if sample.closed_at is not None:
        return None
    is_begun = select(Decision.seq).where(Decision.audit_id == Audit.id).exists()
    rows = connection.execute(
        select(Audit.id, Tile.z, Tile.x, Tile.y)
        .join(Tile, Tile.id == Audit.tile_id)
        .where(
            Audit.sample_id == sample_id,
            Audit.finished_at.is_(None),
            Tile.status.in_(FINISHED),
            Tile.finished_by != reviewer_id,
        )
        .order_by(is_begun.desc(), Audit.id)
    )
    for row in rows:
        address = TileAddress(row.z, row.x, row.y)
        if address == tile or (tile is None and address not in holding):
            return row.id, address
    return None


def _samples() -> Select[Any]:
    return (
        select(
            AuditSample.id,
            AuditSample.reviewer_id,
            Annotator.name.label("reviewer"),
            AuditSample.criteria,
            AuditSample.created_at,
            AuditSample.closed_at,
            func.count(Audit.id).label("total"),
            func.count(Audit.finished_at).label("finished"),
        )
        .join(Annotator, Annotator.id == AuditSample.reviewer_id)
        .outerjoin(Audit, Audit.sample_id == AuditSample.id)
        .group_by(AuditSample.id, Annotator.name)
    )
