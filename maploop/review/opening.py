"""Opening a tile: by address, as the queue says, ahead of need, or the next one of a spot check."""

from typing import Any

from sqlalchemy import Connection, func, select

from db.models import Audit
from maploop.errors import ClaimError, NotFoundError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.imagery.tilemath import parse_tile
from maploop.project import ProjectView
from maploop.quality.samples import next_audit
from maploop.review import claims
from maploop.review.deck import deck_of
from maploop.review.latest import latest_act
from maploop.review.queue import Drawn, draw_next, finished_before, tile_row, tile_rows, why_nothing
from maploop.review.wire import OpenRequest


def open_tile(connection: Connection, project: ProjectView, annotator_id: int, request: OpenRequest) -> dict[str, Any]:
    """Answer an open request of docs/review-map.md; needs a write transaction, for the claim.

    Raises InputError, NotFoundError, or ClaimError when the tile asked for is held by somebody else.
    """
    if request.audit is not None:
        return _open_audit(connection, project, annotator_id, request)
    if request.latest:
        return _open_latest(connection, project, annotator_id)
    drawn = _drawn(connection, project, annotator_id, request)
    if drawn is None:
        nothing = why_nothing(connection, project, annotator_id, request.filter)
        if request.back is not None:
            nothing = {"reason": "There is no earlier tile of yours to go back to.", "page": None}
        return {"deck": None, "nothing": nothing}
    deck = deck_of(connection, project, drawn.tile_id, annotator_id, drawn_by=drawn.drawn_by, was_held=drawn.was_held)
    return {"deck": deck}


def _open_latest(connection: Connection, project: ProjectView, annotator_id: int) -> dict[str, Any]:
    """The tile of this annotator's latest act, and which act that was: an undo takes it back."""
    found = latest_act(connection, project.id, annotator_id)
    if found is None:
        return {"deck": None, "nothing": {"reason": "There is nothing of yours left to undo.", "page": None}}
    drawn = _by_address(connection, project, annotator_id, found.tile, ahead=False)
    deck = deck_of(connection, project, drawn.tile_id, annotator_id, drawn_by=drawn.drawn_by, was_held=drawn.was_held)
    return {"deck": deck, "latest": {"act": found.act, "id": found.id, "feature": found.feature}}


def _drawn(connection: Connection, project: ProjectView, annotator_id: int, request: OpenRequest) -> Drawn | None:
    address: TileAddress | None = None
    if request.back is not None:
        address = finished_before(connection, project.id, annotator_id, parse_tile(request.back))
        if address is None:
            return None
    elif request.tile is not None:
        address = parse_tile(request.tile)
    if address is None:
        return draw_next(
            connection,
            project,
            annotator_id,
            order=request.order,
            random_share=request.random_share,
            wanted=request.filter,
            holding=tile_rows(connection, project.id, [parse_tile(each) for each in request.holding]),
            ahead=request.ahead,
        )
    return _by_address(connection, project, annotator_id, address, ahead=request.ahead)


def _by_address(
    connection: Connection, project: ProjectView, annotator_id: int, address: TileAddress, *, ahead: bool
) -> Drawn:
    tile_id = tile_row(connection, project.id, address)
    if tile_id is None:
        msg = f"{address} is not a tile of {project.name!r}: its working zoom is {project.zoom}."
        raise NotFoundError(msg)
    was_held = claims.is_held_by(connection, tile_id, annotator_id)
    if not claims.take(connection, tile_id, annotator_id, project.settings.claim_seconds, ahead=ahead):
        holder = claims.holder_of(connection, tile_id)
        msg = f"Tile {address} is held by {holder} at the moment."
        raise ClaimError(msg)
    return Drawn(tile_id, "address", was_held)


def _open_audit(
    connection: Connection, project: ProjectView, annotator_id: int, request: OpenRequest
) -> dict[str, Any]:
    """The next tile of the reviewer's sample that this deck does not hold, blind."""
    sample = int(request.audit or 0)
    asked = parse_tile(request.tile) if request.tile else None
    found = next_audit(
        connection, sample, annotator_id, tile=asked, holding=[parse_tile(each) for each in request.holding]
    )
    done, total = connection.execute(
        select(func.count(Audit.finished_at), func.count()).where(Audit.sample_id == sample)
    ).one()
    if found is None:
        reason = "This is the last tile of the spot check."
        if not request.holding:
            reason = f"The spot check is finished, {done} of {total} tiles: see the Quality page for what it found."
        return {"deck": None, "nothing": {"reason": reason, "page": "quality"}}
    audit_id, address = found
    tile_id = tile_row(connection, project.id, address)
    if tile_id is None:
        msg = f"Spot check {sample} belongs to another project: open it there."
        raise NotFoundError(msg)
    deck = deck_of(connection, project, tile_id, annotator_id, drawn_by="audit", audit=audit_id)
    return {"deck": {**deck, "audit": {"id": audit_id, "done": done, "total": total}}}
