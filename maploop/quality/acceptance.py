"""What comes of a check: a tile goes back with a comment, or is approved, alone or with all its sample stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from db.bulk import in_lists
from db.conditions import undecided
from db.models import Annotator, Audit, AuditSample, Decision, Feature, Tile, TileEvent, TileFeature
from db.types import stored_now
from maploop.errors import AccessError, ConflictError, InputError, NotFoundError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectView
from maploop.quality.agreement import results_of
from maploop.quality.samples import FINISHED, SampleView, audits_of, finished_since, load_sample
from maploop.quality.statistics import Metric

MAX_COMMENT = 2000


@dataclass(frozen=True)
class Refusal:
    """A tile that was not approved, and why."""

    address: TileAddress
    reason: str


@dataclass(frozen=True)
class Approval:
    """How many tiles are newly approved, and those that could not be."""

    approved: int
    refused: tuple[Refusal, ...]


@dataclass(frozen=True)
class Ground:
    """Evidence for an approval by spot check: the rates it found, and in how many tiles looked at.

    objections      what speaks against it, a sentence each: rates above what the project calls acceptable
    """

    errors: Metric
    missed: Metric
    tiles: int
    limit: float
    objections: tuple[str, ...]

    def text(self) -> str:
        """The evidence in a sentence."""
        looked_at = "1 tile" if self.tiles == 1 else f"{self.tiles:,} tiles"
        return f"By {looked_at} looked at: errors {self.errors.text()}, missed {self.missed.text()}."

    def asks(self) -> str:
        """The objections in one sentence, and what can be done; empty without any."""
        if not self.objections:
            return ""
        told = " and ".join(self.objections)
        return (
            f"{told[0].upper()}{told[1:]}, where the project accepts {100 * self.limit:g} %: "
            "return tiles to be worked over, or confirm that they are to be approved all the same."
        )


def ground_of_approval(
    connection: Connection, project: ProjectView, sample_id: int, annotator_id: int | None = None
) -> Ground:
    """Collect the evidence for approving an annotator's tiles, or those looked at (None), by a spot check."""
    results = results_of(connection, project, sample_id)
    scores = results.overall
    if annotator_id is not None:
        name = connection.execute(select(Annotator.name).where(Annotator.id == annotator_id)).scalar()
        scores = next((each for each in results.by_annotator if each.annotator == name), scores)
    limit = project.settings.acceptable_errors
    rates = (
        (f"{scores.errors.text()} of the features are wrong", scores.errors.value),
        (f"{scores.missed.text()} of what is there was missed", scores.missed.value),
    )
    objections = tuple(text for text, value in rates if value is not None and value > limit)
    return Ground(scores.errors, scores.missed, scores.tiles, limit, objections)


def is_alone(connection: Connection, project: ProjectView, annotator_id: int) -> bool:
    """True when nobody else has decided anything or finished a tile in the project: then own work may be approved."""
    of_project = Decision.project_id == project.id
    # Lowest and highest come from an index each; "any other" would read all of a lone annotator's decisions.
    lowest = connection.execute(select(func.min(Decision.annotator_id)).where(of_project)).scalar()
    highest = connection.execute(select(func.max(Decision.annotator_id)).where(of_project)).scalar()
    if {lowest, highest} - {None, annotator_id}:
        return False
    others = select(Tile.id).where(Tile.project_id == project.id, Tile.finished_by != annotator_id).limit(1)
    return connection.execute(others).first() is None


def complete_when_alone(connection: Connection, project: ProjectView, annotator_id: int) -> int:
    """How many tiles wait for the approval of somebody who works alone; 0 when there are others."""
    if not is_alone(connection, project, annotator_id):
        return 0
    return connection.execute(
        select(func.count()).where(Tile.project_id == project.id, Tile.status == "complete")
    ).scalar_one()


def return_tile(
    connection: Connection,
    project: ProjectView,
    address: TileAddress,
    reviewer_id: int,
    comment: str,
    *,
    audit_id: int | None = None,
    event_id: str | None = None,
) -> None:
    """Send a finished tile back: it comes first in the queue of whoever finished it, with the comment.

    `event_id` (UUID) makes sending twice return once. Raises InputError, NotFoundError, or ConflictError when the tile
    is not finished.
    """
    comment = comment.strip()
    if not comment or len(comment) > MAX_COMMENT:
        msg = f"A comment of {len(comment)} characters does not help: say in 1 to {MAX_COMMENT} what to look at."
        raise InputError(msg)
    tile = _find(connection, project, address)
    if event_id is not None and connection.execute(select(TileEvent.seq).where(TileEvent.id == event_id)).first():
        return
    if tile.status == "returned" and tile.comment == comment:
        return
    if tile.status not in (*FINISHED, "returned"):
        msg = f"Tile {address} is {tile.status}: only a finished tile can be returned."
        raise ConflictError(msg)
    connection.execute(update(Tile).where(Tile.id == tile.id).values(status="returned", comment=comment))
    _record(connection, [tile.id], reviewer_id, "return", audit_id=audit_id, comment=comment, event_id=event_id)


def approve_tile(
    connection: Connection,
    project: ProjectView,
    address: TileAddress,
    reviewer_id: int,
    *,
    audit_id: int | None = None,
) -> None:
    """Approve one complete tile; one that is approved stays so. Raises NotFoundError, or ConflictError saying why."""
    tile = _find(connection, project, address)
    approval = _approve(connection, project, reviewer_id, Tile.id == tile.id, audit_id=audit_id)
    if approval.refused:
        msg = f"Tile {address} cannot be approved: {approval.refused[0].reason}."
        raise ConflictError(msg)


def approve_sample(
    connection: Connection, project: ProjectView, sample_id: int, reviewer_id: int, *, confirmed: bool = False
) -> Approval:
    """Approve the tiles of a spot check that were looked at and not returned.

    Raises NotFoundError, AccessError, ConflictError when what was found speaks against it and that is not `confirmed`.
    """
    _own_sample(connection, project, sample_id, reviewer_id)
    ground = ground_of_approval(connection, project, sample_id)
    _check_confirmed(ground, confirmed=confirmed)
    looked_at = select(Audit.tile_id).where(Audit.sample_id == sample_id, Audit.finished_at.is_not(None))
    waiting = and_(Tile.id.in_(looked_at), Tile.status.in_(FINISHED))
    return _approve(connection, project, reviewer_id, waiting, sample_id=sample_id, comment=ground.text())


def approve_annotator(
    connection: Connection,
    project: ProjectView,
    sample_id: int,
    annotator_id: int,
    reviewer_id: int,
    *,
    confirmed: bool = False,
) -> Approval:
    """Approve all complete tiles of an annotator that the spot check stands for: those finished before it was drawn.

    Raises NotFoundError, AccessError, or ConflictError while audits of that annotator's tiles are open, without any, or
    when what was found speaks against it and that is not `confirmed`. What it rests on is kept with the tiles' events.
    """
    sample = _own_sample(connection, project, sample_id, reviewer_id)
    audits = [each for each in audits_of(connection, sample_id) if each.annotator_id == annotator_id]
    name = connection.execute(select(Annotator.name).where(Annotator.id == annotator_id)).scalar()
    left = sum(each.finished_at is None for each in audits)
    if not audits or left:
        says = (
            f"has {left} of {len(audits)} tiles of {name} left" if audits else f"has no tile of {name or annotator_id}"
        )
        msg = f"Spot check {sample_id} {says}: it stands for nobody it has not looked at."
        raise ConflictError(msg)
    ground = ground_of_approval(connection, project, sample_id, annotator_id)
    _check_confirmed(ground, confirmed=confirmed)
    after = select(AuditSample.after_event).where(AuditSample.id == sample.id).scalar_subquery()
    drawn = select(AuditSample.created_at).where(AuditSample.id == sample.id).scalar_subquery()
    stands_for = and_(
        Tile.finished_by == annotator_id,
        Tile.status == "complete",
        ~finished_since(after, drawn),
    )
    return _approve(connection, project, reviewer_id, stands_for, sample_id=sample_id, comment=ground.text())


def _check_confirmed(ground: Ground, *, confirmed: bool) -> None:
    if ground.objections and not confirmed:
        raise ConflictError(ground.asks())


def approve_all_own(connection: Connection, project: ProjectView, annotator_id: int) -> Approval:
    """Approve everything complete, for somebody who works alone. Raises AccessError when there are others."""
    if not is_alone(connection, project, annotator_id):
        msg = "Others work on this project: let them check your tiles, and check theirs."
        raise AccessError(msg)
    return _approve(connection, project, annotator_id, Tile.status == "complete")


def _own_sample(connection: Connection, project: ProjectView, sample_id: int, reviewer_id: int) -> SampleView:
    sample = load_sample(connection, project, sample_id)
    if sample.reviewer_id != reviewer_id:
        msg = f"Spot check {sample_id} is {sample.reviewer}'s: only who looked can approve on its strength."
        raise AccessError(msg)
    return sample


def _find(connection: Connection, project: ProjectView, address: TileAddress) -> Tile:
    row = connection.execute(
        select(Tile.id, Tile.status, Tile.comment)
        .where(Tile.project_id == project.id, Tile.z == address.z, Tile.x == address.x, Tile.y == address.y)
        .with_for_update()
    ).one_or_none()
    if row is None:
        msg = f"{address} is not a tile of {project.name!r}: its working zoom is {project.zoom}."
        raise NotFoundError(msg)
    return row  # type: ignore[return-value]


def _approve(
    connection: Connection,
    project: ProjectView,
    reviewer_id: int,
    chosen: ColumnElement[bool],
    *,
    sample_id: int | None = None,
    audit_id: int | None = None,
    comment: str = "",
) -> Approval:
    """Approve the chosen tiles of the project that may be, and say why not of the others."""
    own_too = is_alone(connection, project, reviewer_id)
    in_doubt = or_(Feature.verdict == "unsure", undecided())
    doubts = (
        select(func.count())
        .select_from(TileFeature)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .where(TileFeature.tile_id == Tile.id, in_doubt)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(Tile.id, Tile.z, Tile.x, Tile.y, Tile.status, Tile.finished_by, doubts.label("doubts"))
        .where(Tile.project_id == project.id, Tile.status != "approved", chosen)
        .order_by(Tile.quadkey)
        .with_for_update()  # of a tile that somebody reopens meanwhile, the new status is seen
    ).all()
    refused: list[Refusal] = []
    approved: list[int] = []
    for row in rows:
        if row.status != "complete":
            reason = f"it is {row.status}, not complete"
        elif row.doubts:
            reason = f"{row.doubts} of its features " + ("is" if row.doubts == 1 else "are") + " unsure or undecided"
        elif row.finished_by == reviewer_id and not own_too:
            reason = "it is your own work, and others work on this project"
        else:
            approved.append(row.id)
            continue
        refused.append(Refusal(TileAddress(row.z, row.x, row.y), reason))
    for some in in_lists(approved):
        connection.execute(update(Tile).where(Tile.id.in_(some)).values(status="approved", comment=""))
        _record(connection, some, reviewer_id, "approve", sample_id=sample_id, audit_id=audit_id, comment=comment)
    return Approval(len(approved), tuple(refused))


def _record(
    connection: Connection,
    tiles: Sequence[int],
    reviewer_id: int,
    act: str,
    *,
    sample_id: int | None = None,
    audit_id: int | None = None,
    comment: str = "",
    event_id: str | None = None,
) -> None:
    """One event a tile; and the outcome of the audit that it rests on, where it does."""
    audits: dict[int, int] = {}
    if sample_id is not None:
        of_sample = select(Audit.tile_id, Audit.id).where(Audit.sample_id == sample_id)
        audits = {row.tile_id: row.id for row in connection.execute(of_sample)}
    elif audit_id is not None:
        audits = dict.fromkeys(tiles, audit_id)
    now = stored_now()
    connection.execute(
        insert(TileEvent),
        [
            {
                "id": event_id or str(uuid4()),
                "tile_id": tile,
                "annotator_id": reviewer_id,
                "audit_id": audits.get(tile),
                "act": act,
                "comment": comment,
                "stored_at": now,
            }
            for tile in tiles
        ],
    )
    concerned = [audits[tile] for tile in tiles if tile in audits]
    if concerned:
        connection.execute(update(Audit).where(Audit.id.in_(concerned)).values(outcome=act))
