"""Batches as rows. What is about to happen is written down first: whoever comes after a kill looks it up, and goes on.

Every write makes sure that the run is still this worker's: a batch is submitted by one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, Row, func, insert, select, update

from db.bulk import insert_rows
from db.models import Batch, BatchTile, Model, Run, RunTile
from db.models import Tile as TileRow
from db.types import utc_now
from maploop.database import Database
from maploop.errors import ConflictError
from maploop.imagery.tilemath import Tile
from maploop.predict.destination import imagery_that_stays_here, tiles_that_stay
from maploop.predict.runs import OPEN_BATCHES, tile_ids
from maploop.project import ProjectView

# The error of a collected batch until its files are deleted at the server.
FILES_LEFT: Final = "Its files may still be at the server: the next run of the model deletes them."


@dataclass(frozen=True)
class BatchView:
    """A batch; see `db.models.Batch`. `completed` and `failed` are requests, as the server counts them."""

    id: int
    number: int
    name: str
    status: str
    requests: int
    size: int
    input_file_id: str | None
    remote_id: str | None
    remote_status: str
    completed: int
    failed: int
    error: str
    created_at: datetime
    submitted_at: datetime | None
    collected_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done for it."""
        return self.status in OPEN_BATCHES

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {
            "batch": self.number,
            "status": self.status,
            "remote_id": self.remote_id,
            "remote_status": self.remote_status,
            "requests": self.requests,
            "completed": self.completed,
            "failed": self.failed,
            "error": self.error,
        }


def batches_of(connection: Connection, run_id: int) -> list[BatchView]:
    """All batches of a run, oldest first."""
    query = select(*_columns()).where(Batch.run_id == run_id).order_by(Batch.id)
    return [_view(row) for row in connection.execute(query)]


class Records:
    """The batches of one run, kept by the worker that carries it out."""

    def __init__(self, database: Database, project: ProjectView, run_id: int, worker: str) -> None:
        self._database = database
        self._project = project
        self.run_id = run_id
        self._worker = worker

    def open_batches(self) -> list[BatchView]:
        """Those that something is still to be done for, oldest first."""
        with self._database.read() as connection:
            return [each for each in batches_of(connection, self.run_id) if each.is_open]

    def pending_tiles(self, batch: BatchView) -> dict[Tile, int]:
        """The tiles of a batch without an outcome, with their lines in the file, in that order."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(TileRow.z, TileRow.x, TileRow.y, BatchTile.line)
                .join(BatchTile, BatchTile.tile_id == TileRow.id)
                .join(RunTile, (RunTile.tile_id == TileRow.id) & (RunTile.run_id == self.run_id))
                .where(BatchTile.batch_id == batch.id, RunTile.status == "pending")
                .order_by(BatchTile.line)
            )
            return {Tile(row.z, row.x, row.y): row.line for row in rows}

    def reasons_to_stay(self, batch: BatchView, examples: Sequence[Tile]) -> list[str]:
        """Return why the pictures of a batch, or of examples in it, may not be sent to the model now; none if they may.

        Terms are corrected while a file waits: it may hold pictures that could be sent when it was written.
        """
        with self._database.read() as connection:
            model = connection.execute(
                select(Model.backend, Model.parameters).join(Run, Run.model_id == Model.id).where(Run.id == self.run_id)
            ).one()
            stays = imagery_that_stays_here(connection, self._project, model.backend, model.parameters)
            if not stays:
                return []
            rows = connection.execute(
                select(TileRow.id, TileRow.z, TileRow.x, TileRow.y)
                .join(BatchTile, BatchTile.tile_id == TileRow.id)
                .where(BatchTile.batch_id == batch.id)
            )
            tiles = {row.id: Tile(row.z, row.x, row.y) for row in rows}
            if examples:
                tiles |= {key: tile for tile, key in tile_ids(connection, self._project, examples).items()}
            return list(tiles_that_stay(connection, tiles, stays))

    def times_asked(self) -> dict[Tile, int]:
        """For each pending tile that was in batches which the server worked off, in how many."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(TileRow.z, TileRow.x, TileRow.y, func.count())
                .join(BatchTile, BatchTile.tile_id == TileRow.id)
                .join(Batch, Batch.id == BatchTile.batch_id)
                .join(RunTile, (RunTile.tile_id == TileRow.id) & (RunTile.run_id == self.run_id))
                .where(
                    Batch.run_id == self.run_id,
                    Batch.status == "collected",
                    Batch.remote_status != "cancelled",
                    RunTile.status == "pending",
                )
                .group_by(TileRow.z, TileRow.x, TileRow.y)
            )
            return {Tile(z, x, y): count for z, x, y, count in rows}

    def write_down(self, name: str, tiles: Sequence[Tile], size: int) -> BatchView:
        """A batch that is about to be uploaded, of so many bytes, a line a tile.

        Raises ConflictError when a tile is in another batch, or the run is somebody else's.
        """
        with self._database.write() as connection:
            self._hold(connection)
            ids = tile_ids(connection, self._project, tiles)
            taken = _tiles_in_open_batches(connection, self.run_id) & set(ids.values())
            if taken:
                msg = f"{len(taken):,} tiles of run {self.run_id} are in another batch already: none was submitted."
                raise ConflictError(msg)
            last = connection.execute(select(func.max(Batch.number)).where(Batch.run_id == self.run_id)).scalar()
            batch_id = connection.execute(
                insert(Batch)
                .values(run_id=self.run_id, number=(last or 0) + 1, name=name, requests=len(tiles), size=size)
                .returning(Batch.id)
            ).scalar_one()
            insert_rows(
                connection,
                BatchTile,
                {
                    "batch_id": [batch_id] * len(tiles),
                    "tile_id": [ids[tile] for tile in tiles],
                    "line": list(range(1, len(tiles) + 1)),
                },
            )
        return self._again(batch_id)

    def note(self, batch: BatchView, **values: Any) -> BatchView:
        """Write down what has happened to a batch -> the batch as it is now. Raises ConflictError."""
        with self._database.write() as connection:
            self._hold(connection)
            connection.execute(
                update(Batch).where(Batch.id == batch.id, Batch.status.in_(OPEN_BATCHES)).values(**values)
            )
        return self._again(batch.id)

    def note_uploaded(self, batch: BatchView, file_id: str) -> BatchView:
        """The server has its file."""
        return self.note(batch, status="uploaded", input_file_id=file_id)

    def note_submitted(self, batch: BatchView, remote_id: str, remote_status: str) -> BatchView:
        """The server is at work on it."""
        return self.note(
            batch, status="submitted", remote_id=remote_id, remote_status=remote_status, submitted_at=utc_now()
        )

    def note_collected(self, batch: BatchView) -> BatchView:
        """Everything that came of it is stored; its files are to be deleted at the server."""
        return self.note(batch, status="collected", collected_at=utc_now(), error=FILES_LEFT)

    def drop(self, batch: BatchView, error: str) -> BatchView:
        """It came to nothing: its tiles are free."""
        return self.note(batch, status="dropped", error=error)

    def batches_with_files(self) -> list[BatchView]:
        """Closed batches of this run's model, of any run, whose files may still be at the server, oldest first."""
        with self._database.read() as connection:
            model = select(Run.model_id).where(Run.id == self.run_id).scalar_subquery()
            rows = connection.execute(
                select(*_columns())
                .join(Run, Run.id == Batch.run_id)
                .where(
                    Run.model_id == model,
                    ((Batch.status == "collected") & (Batch.error != ""))
                    | ((Batch.status == "dropped") & Batch.input_file_id.is_not(None)),
                )
                .order_by(Batch.id)
            )
            return [_view(row) for row in rows]

    def note_files_deleted(self, batch: BatchView) -> None:
        """The server has none of its files any more."""
        with self._database.write() as connection:
            for status, values in (("collected", {"error": ""}), ("dropped", {"input_file_id": None})):
                connection.execute(update(Batch).where(Batch.id == batch.id, Batch.status == status).values(**values))

    def _hold(self, connection: Connection) -> None:
        worker = connection.execute(select(Run.worker).where(Run.id == self.run_id).with_for_update()).scalar()
        if worker != self._worker:
            msg = f"Run {self.run_id} was taken up by somebody else: nothing more is submitted here."
            raise ConflictError(msg)

    def _again(self, batch_id: int) -> BatchView:
        with self._database.read() as connection:
            return next(each for each in batches_of(connection, self.run_id) if each.id == batch_id)


def new_name(run_id: int) -> str:
    """A name for a batch that nothing else at the server has."""
    return f"maploop-run-{run_id}-{uuid4().hex}"


def _tiles_in_open_batches(connection: Connection, run_id: int) -> set[int]:
    rows = connection.execute(
        select(BatchTile.tile_id)
        .join(Batch, Batch.id == BatchTile.batch_id)
        .where(Batch.run_id == run_id, Batch.status.in_(OPEN_BATCHES))
    )
    return set(rows.scalars())


def _columns() -> list[Any]:
    return [column for column in Batch.__table__.columns if column.name != "run_id"]


def _view(row: Row[Any]) -> BatchView:
    return BatchView(**row._mapping)
