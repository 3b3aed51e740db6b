"""Taking back an import as a whole: what it brought goes, what people decided stays, and the record says who did it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, case, func, select, update

from db.bulk import lock_project
from db.models import Annotator, Claim, Dataset, Import, Tile
from db.records import record_undo
from db.types import utc_now
from maploop.database import Database
from maploop.errors import ClaimError, ConflictError
from maploop.imagery.area import area_of
from maploop.imagery.scope import refresh_scope, remove_unheld, tiles_by_imagery
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.imagery.tiles import ensure_tiles
from maploop.imagery.undo_imagery import undo_imagery
from maploop.import_records import ImportView, load_import
from maploop.predict.undo_predictions import undo_predictions
from maploop.project import ProjectView, annotator_id
from maploop.review.reopen import finished_among, reopen_tiles
from maploop.review.undo_truth import TAKEN_BACK, undo_truth

# What an undo comes to, one and several, in the order in which people are told.
COUNTS: Final = {
    "removed": ("feature goes", "features go"),
    "reverted": ("feature is again as it was before", "features are again as they were before"),
    "restored": ("feature that it had replaced is shown again", "features that it had replaced are shown again"),
    "kept": (
        "feature stays, as people or other imports decided it",
        "features stay, as people or other imports decided them",
    ),
    "reopened": ("finished tile is open again", "finished tiles are open again"),
    "uncovered": ("tile loses its imagery", "tiles lose their imagery"),
    "covered_by_other": ("tile shows other imagery", "tiles show other imagery"),
    "tiles_removed": ("tile goes, as nothing else holds it", "tiles go, as nothing else holds them"),
    "datasets": ("frozen dataset stays as it is", "frozen datasets stay as they are"),
}


class _NotMeantError(Exception):
    """Ends the transaction of an undo that was only to be looked at."""


def undo_import(database: Database, project: ProjectView, import_id: str | int, annotator: str) -> dict[str, Any]:
    """Take an import back, in the name of a person -> its id and the counts of `COUNTS`.

    Raises NotFoundError, ConflictError when it was taken back already or a later one builds on it, and ClaimError when
    somebody is at work on one of its tiles.
    """
    return _undo(database, project, import_id, annotator, is_meant=True)


def preview_undo(database: Database, project: ProjectView, import_id: str | int, annotator: str) -> dict[str, Any]:
    """Preview `undo_import`: its counts and its errors; nothing changes."""
    return _undo(database, project, import_id, annotator, is_meant=False)


def undo_sentence(answer: Mapping[str, Any]) -> str:
    """Counts of an undo in words."""
    told = [f"{answer[key]:,} {texts[answer[key] != 1]}" for key, texts in COUNTS.items() if answer.get(key)]
    return "; ".join(told) + "." if told else "Nothing but the record of it changes."


def _undo(
    database: Database, project: ProjectView, import_id: str | int, annotator: str, *, is_meant: bool
) -> dict[str, Any]:
    with database.read() as connection:
        view = load_import(connection, project, import_id)
        others = _tiles_afterwards(connection, project, view)
    answer: dict[str, Any] = {}
    try:
        with database.write() as connection:
            lock_project(connection, project.id)
            answer = _undo_here(connection, project, view.id, annotator, others)
            if not is_meant:
                raise _NotMeantError
    except _NotMeantError:
        pass
    return answer


def _tiles_afterwards(connection: Connection, project: ProjectView, view: ImportView) -> dict[int, list[TileAddress]]:
    """Imagery id -> the tiles it covers once the import is taken back; empty where that changes nothing."""
    if view.kind == "imagery":
        return tiles_by_imagery(connection, project, area_of(connection, project), without=view.imagery_id)
    if view.kind == "area":
        return tiles_by_imagery(connection, project, area_of(connection, project, without=view.id))
    return {}


def _undo_here(
    connection: Connection,
    project: ProjectView,
    import_id: int,
    annotator: str,
    others: Mapping[int, Sequence[TileAddress]],
) -> dict[str, Any]:
    view = load_import(connection, project, import_id)
    if view.undone_at is not None:
        msg = (
            f"Import {view.id} was taken back already, by {view.undone_by} on {view.undone_at:%Y-%m-%d %H:%M} UTC: "
            "import the file again if it is wanted after all."
        )
        raise ConflictError(msg)
    person = annotator_id(connection, annotator)
    now = utc_now()
    connection.execute(update(Import).where(Import.id == view.id).values(undone_by=person, undone_at=now))
    held = _held_by_others(connection, project, person)
    counts: dict[str, int] = {}
    changed: set[int] = set()
    if view.kind == "predictions" and view.run_id is not None:
        predictions = undo_predictions(connection, project, view.run_id)
        changed = predictions.tile_ids
        counts = {name: getattr(predictions, name) for name in ("removed", "reverted", "restored", "kept")}
        reopened = finished_among(connection, predictions.asking)
        reopen_tiles(
            connection, reopened, person, TAKEN_BACK, drawn_by="import", import_id=view.id, forget_finisher=True
        )
        counts["reopened"] = len(reopened)
    elif view.kind == "annotations":
        truth = undo_truth(connection, project, view.id, person)
        changed = truth.tile_ids
        counts = {name: getattr(truth, name) for name in ("removed", "reverted", "kept", "reopened")}
    elif view.kind == "imagery":
        changed = set(
            connection.execute(
                select(Tile.id).where(Tile.project_id == project.id, Tile.imagery_id == view.imagery_id)
            ).scalars()
        )
        counts = undo_imagery(connection, project, view, others)
    else:
        for imagery_id, tiles in others.items():
            ensure_tiles(connection, project, tiles, imagery_id)
    _refuse_held(connection, changed & held.keys(), held)
    refresh_scope(connection, project)
    counts["tiles_removed"] = remove_unheld(connection, project, view.id, with_imagery=view.kind == "area")
    counts["datasets"] = connection.execute(
        select(func.count()).where(
            Dataset.project_id == project.id,
            case(
                (Dataset.after_import.is_not(None), Dataset.after_import >= view.id),
                else_=Dataset.created_at >= view.made_at,
            ),
        )
    ).scalar_one()
    connection.execute(update(Import).where(Import.id == view.id).values(undo_report=counts))
    record_undo(connection, project.id, view.id, person, now)
    return {"import": str(view.id), "kind": view.kind, "source": view.source, **counts}


def _held_by_others(connection: Connection, project: ProjectView, person: int) -> dict[int, str]:
    """Tile -> who else is at work on it."""
    rows = connection.execute(
        select(Tile.id, Annotator.name)
        .join(Claim, Claim.tile_id == Tile.id)
        .join(Annotator, Annotator.id == Claim.annotator_id)
        .where(Tile.project_id == project.id, Claim.expires_at > utc_now(), Claim.annotator_id != person)
    )
    return dict(rows.all())


def _refuse_held(connection: Connection, tile_ids: set[int], held: Mapping[int, str]) -> None:
    if not tile_ids:
        return
    first = min(tile_ids)
    row = connection.execute(select(Tile.z, Tile.x, Tile.y).where(Tile.id == first)).one()
    more = f" and {len(tile_ids) - 1} more tiles" if len(tile_ids) > 1 else ""
    msg = f"{held[first]} is at work on {row.z}/{row.x}/{row.y}{more}: take the import back when that is done."
    raise ClaimError(msg)
