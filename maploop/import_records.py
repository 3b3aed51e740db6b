"""The record of imports: what came in, from where, by whom, which tiles it covers, and whether it was taken back."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import urlsplit

from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, Row, Select, insert, select, update
from sqlalchemy.orm import aliased

from db.bulk import insert_rows
from db.models import Annotator, Import, ImportFeature, ImportTile
from maploop.errors import NotFoundError
from maploop.project import ProjectView, annotator_id

ImportKind = Literal["imagery", "predictions", "annotations", "area"]


@dataclass(frozen=True)
class ImportView:
    """An import as it is on record; `undone_at` is empty unless it was taken back."""

    id: int
    kind: ImportKind
    source: str
    annotator: str | None
    run_id: int | None
    imagery_id: int | None
    report: Mapping[str, Any]
    made_at: datetime
    undone_by: str | None
    undone_at: datetime | None
    undo_report: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {
            "import": str(self.id),
            "kind": self.kind,
            "source": self.source,
            "annotator": self.annotator,
            "made_at": self.made_at.isoformat(),
            "imported": self.report.get("imported"),
            "undone_by": self.undone_by,
            "undone_at": None if self.undone_at is None else self.undone_at.isoformat(),
            "undo": self.undo_report,
        }


def record_import(
    connection: Connection,
    project: ProjectView,
    kind: ImportKind,
    source: str,
    annotator: str | None,
    *,
    run_id: int | None = None,
    imagery_id: int | None = None,
    area: BaseGeometry | None = None,
) -> int:
    """Put an import on record -> its id; needs a write transaction. `area`: EPSG:4326. Raises InputError."""
    values = {
        "project_id": project.id,
        "kind": kind,
        "source": public_name(source),
        "annotator_id": None if annotator is None else annotator_id(connection, annotator),
        "run_id": run_id,
        "imagery_id": imagery_id,
        "area": area,
    }
    return connection.execute(insert(Import).values(**values).returning(Import.id)).scalar_one()


def keep_report(
    connection: Connection, import_id: int, answer: Mapping[str, Any], *, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Keep what an import came to, its rows left out -> the answer with the import's id in front.

    `before`: what it replaced, kept with it.
    """
    kept = {key: value for key, value in answer.items() if key not in ("skipped", "repairs")}
    if before is not None:
        kept["before"] = dict(before)
    connection.execute(update(Import).where(Import.id == import_id).values(report=kept))
    return {"import": str(import_id), **answer}


def cover_tiles(connection: Connection, import_id: int, tile_ids: Collection[int]) -> None:
    """Say which tiles an import covers, each once."""
    ids = sorted(tile_ids)
    insert_rows(connection, ImportTile, {"import_id": [import_id] * len(ids), "tile_id": ids})


def vouch_for(connection: Connection, import_id: int, feature_ids: Collection[int]) -> None:
    """Say which annotations stood already and are in an import of known truth too."""
    ids = sorted(set(feature_ids))
    insert_rows(connection, ImportFeature, {"import_id": [import_id] * len(ids), "feature_id": ids})


def public_name(location: str) -> str:
    """Name of a file or folder, or host of a server: a whole location may hold a key."""
    if "://" in location:
        return urlsplit(location).hostname or ""
    return PurePath(location).name


def list_imports(connection: Connection, project: ProjectView) -> list[ImportView]:
    """All imports of a project, newest first."""
    return [_view(row) for row in connection.execute(_imports(project).order_by(Import.id.desc()))]


def load_import(connection: Connection, project: ProjectView, import_id: str | int) -> ImportView:
    """One import of a project. Raises NotFoundError naming the newest ones."""
    text = str(import_id).strip()
    if text.isascii() and text.isdigit() and len(text) < 19:
        row = connection.execute(_imports(project).where(Import.id == int(text))).first()
        if row is not None:
            return _view(row)
    newest = [str(each.id) for each in list_imports(connection, project)[:5]]
    known = f"the newest are {', '.join(newest)}" if newest else "nothing was imported yet"
    msg = f"There is no import {text[:40]!r} in {project.name!r}: {known}; `maploop import list` shows all."
    raise NotFoundError(msg)


_UNDOER = aliased(Annotator)


def _imports(project: ProjectView) -> Select[Any]:
    return (
        select(Import.__table__, Annotator.name.label("annotator"), _UNDOER.name.label("undoer"))
        .outerjoin(Annotator, Annotator.id == Import.annotator_id)
        .outerjoin(_UNDOER, _UNDOER.id == Import.undone_by)
        .where(Import.project_id == project.id)
    )


def _view(row: Row[Any]) -> ImportView:
    return ImportView(
        id=row.id,
        kind=row.kind,
        source=row.source,
        annotator=row.annotator,
        run_id=row.run_id,
        imagery_id=row.imagery_id,
        report=row.report,
        made_at=row.made_at,
        undone_by=row.undoer,
        undone_at=row.undone_at,
        undo_report=row.undo_report,
    )
