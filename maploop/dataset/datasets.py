"""Datasets of a project: freeze one, find it again, list them. The snapshot lies in the datasets folder."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Select, insert, select

from db.models import Annotator, Dataset, Imagery
from db.models.dataset import NEWEST_FIRST
from maploop.database import Database
from maploop.dataset.manifest import agreement_of, manifest_of
from maploop.dataset.reading import Sources, read_snapshot
from maploop.dataset.selection import Scope, chosen, held_out, scope_named, second_looks
from maploop.dataset.snapshot import Snapshot, id_of
from maploop.errors import DatabaseError, InputError, NotFoundError
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.pixel_records import count_pixels, measure_tiles
from maploop.imagery.source import open_source
from maploop.project import ProjectView, annotator_id
from maploop.settings import get_settings

Progress = Callable[[int, int, str], None]  # done, total, what is being done
SHORTEST_PREFIX = 6
MEASURED_AT_MOST = 5_000  # tiles whose pixels are looked at before an evaluation


@dataclass(frozen=True)
class DatasetView:
    """A frozen dataset. `id` is the SHA-256 of its snapshot, which lies in `folder`; the manifest is JSON."""

    id: str
    project_id: int
    created_by: str
    created_at: datetime
    manifest: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where the snapshot is."""
        return get_settings().datasets_folder / self.id

    @property
    def snapshot_path(self) -> Path:
        """The snapshot's file."""
        return self.folder / "snapshot.json"

    def snapshot(self) -> Snapshot:
        """Read and check the snapshot. Raises NotFoundError when it has gone, DatabaseError when it is damaged."""
        try:
            content = self.snapshot_path.read_bytes()
        except FileNotFoundError as error:
            msg = f"{self.snapshot_path} is missing: restore the datasets folder from a backup."
            raise NotFoundError(msg) from error
        if id_of(content) != self.id:
            msg = f"{self.snapshot_path} was changed after it was frozen: restore it from a backup."
            raise DatabaseError(msg)
        return Snapshot.from_bytes(content)


def freeze(
    database: Database,
    project: ProjectView,
    *,
    tiles: str = "approved",
    annotator: str,
    sources: Sources | None = None,
    progress: Progress | None = None,
) -> DatasetView:
    """Freeze the approved tiles of a project (`complete`: merely complete ones too) into a dataset.

    Tiles whose pixels nobody has looked at are measured first. Nothing changed since an earlier freeze: that dataset
    comes back. Raises ConflictError when no tile is ready.
    """
    scope = scope_named(tiles)
    tell = progress or _silent
    opened = sources or imagery_sources(database)
    measure_tiles(database, project, chosen(project, scope), opened, progress=tell)
    tell(0, 3, "Reading annotations")
    with database.read() as connection:
        snapshot = read_snapshot(connection, project, scope, opened)
        circumstances = _circumstances(connection, project, scope)
    tell(1, 3, "Freezing the dataset")
    content = snapshot.to_bytes()
    identifier = id_of(content)
    _write_whole(get_settings().datasets_folder / identifier / "snapshot.json", content)
    tell(2, 3, "Writing the manifest")
    with database.write() as connection:
        if connection.execute(select(Dataset.id).where(Dataset.id == identifier)).first() is None:
            manifest = {"dataset": identifier, **manifest_of(snapshot), **circumstances}
            connection.execute(
                insert(Dataset).values(
                    id=identifier,
                    project_id=project.id,
                    created_by=annotator_id(connection, annotator),
                    manifest=manifest,
                )
            )
    tell(3, 3, "Frozen")
    return load_dataset(database, identifier)


def measure_finished(
    database: Database, project: ProjectView, progress: Callable[[str], None] = lambda _: None
) -> None:
    """Look at the pixels of finished tiles that nobody has looked at; what does not come stays unknown."""
    measure_tiles(
        database,
        project,
        chosen(project, "complete"),
        imagery_sources(database),
        at_most=MEASURED_AT_MOST,
        progress=lambda done, total, text: progress(f"{text}, {done:,} of {total:,} tiles"),
    )


def _circumstances(connection: Any, project: ProjectView, scope: Scope) -> dict[str, Any]:
    return {
        "scope": scope,
        "held_out": [str(each) for each in held_out(connection, project, scope)],
        "second_looks": second_looks(connection, project, scope),
        "agreement": agreement_of(connection, project, scope),
        "pixels": count_pixels(connection, project, chosen(project, scope)).to_json(),
    }


def load_dataset(database: Database, identifier: str) -> DatasetView:
    """The dataset of that id, or of the only one that begins so. Raises NotFoundError, InputError."""
    wanted = identifier.strip().lower()
    if len(wanted) < SHORTEST_PREFIX or not all(each in "0123456789abcdef" for each in wanted):
        msg = f"{identifier!r} is not the id of a dataset: give at least {SHORTEST_PREFIX} of its hexadecimal digits."
        raise InputError(msg)
    with database.read() as connection:
        rows = connection.execute(_datasets().where(Dataset.id.startswith(wanted)).limit(2)).all()
    if not rows:
        msg = f"There is no dataset {identifier!r}: export a project, or list its datasets on the Dataset page."
        raise NotFoundError(msg)
    if len(rows) > 1:
        msg = f"{identifier!r} begins the ids of several datasets: give more of its digits."
        raise InputError(msg)
    return _view(rows[0])


def dataset_of(database: Database, project: ProjectView, dataset_id: str) -> DatasetView:
    """A dataset of the project. Raises NotFoundError, InputError."""
    dataset = load_dataset(database, dataset_id)
    if dataset.project_id != project.id:
        msg = f"Dataset {dataset.id[:12]} is not one of {project.name!r}: list its datasets on the Dataset page."
        raise InputError(msg)
    return dataset


def list_datasets(database: Database, project: ProjectView) -> list[DatasetView]:
    """All datasets of a project, the latest first."""
    with database.read() as connection:
        query = _datasets().where(Dataset.project_id == project.id).order_by(*NEWEST_FIRST, Dataset.id)
        return [_view(row) for row in connection.execute(query)]


def imagery_sources(database: Database) -> Sources:
    """Opens imagery of the database by id, each once. Raises ImageryError when called for one that is gone."""

    @cache
    def opened(imagery_id: int) -> ImagerySource:
        with database.read() as connection:
            info = connection.execute(select(Imagery.info).where(Imagery.id == imagery_id)).scalar()
        return open_source(SourceInfo.from_json(info or {}))

    return opened


def _datasets() -> Select[Any]:
    return select(
        Dataset.id, Dataset.project_id, Annotator.name.label("created_by"), Dataset.created_at, Dataset.manifest
    ).join(Annotator, Annotator.id == Dataset.created_by)


def _view(row: Row[Any]) -> DatasetView:
    return DatasetView(row.id, row.project_id, row.created_by, row.created_at, row.manifest)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole, and on disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _silent(_done: int, _total: int, _text: str) -> None:
    pass
