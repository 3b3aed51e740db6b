"""Runs as rows: begun with their tiles, held by one worker at a time, told of every outcome, ended.

A run is the work of one process, its worker, which gives a sign of life now and then. When that stops coming, or the
process is seen to be gone, anybody may take the run up where it was left.
"""

import os
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, insert, or_, select, update

from db.bulk import insert_rows, lock_project
from db.models import Batch, BatchTile, Run, RunTile
from db.models import Tile as TileRow
from db.types import utc_now
from maploop.errors import ConflictError, NotFoundError
from maploop.imagery.tilemath import Tile
from maploop.predict.choosing import TileChoice, choose_tiles
from maploop.predict.destination import imagery_that_stays_here, names_of, tiles_that_stay
from maploop.predict.models import ModelView
from maploop.predict.predictor import Outcome
from maploop.predict.score_cut import score_cut_of
from maploop.project import ProjectView

BEAT_SECONDS: Final = 10.0
OPEN_BATCHES: Final = ("written", "uploaded", "submitted")  # what comes of their tiles is not known yet
LEASE_SECONDS: Final = 60.0  # without a sign of life, after which a worker counts as gone
IN_APP: Final = {"started_in": "app"}  # among a run's parameters: the app carries it out, after a restart too


@dataclass(frozen=True)
class UnderWay:
    """Tiles that an earlier run of the same model and question is at work on; `where`: part of a sentence."""

    run_id: int
    tiles: int
    where: str

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the CLI prints them."""
        return {"run": self.run_id, "tiles": self.tiles, "where": self.where}

    def to_text(self) -> str:
        """One sentence for people."""
        tiles = "1 tile" if self.tiles == 1 else f"{self.tiles:,} tiles"
        return f"Run {self.run_id} is at work on {tiles} of these {self.where}: wait for it, or cancel it."


@dataclass(frozen=True)
class PlannedRun:
    """The tiles that a run would predict, and those that it would not, although they were chosen.

    tiles       row id -> address
    known       tiles that the model has predicted already, to the same question
    under_way   tiles that another run is at work on
    left_out    tiles that may not be shown to the model, `z/x/y` by reason
    """

    tiles: dict[int, Tile]
    known: int
    under_way: tuple[UnderWay, ...] = ()
    left_out: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class BegunRun:
    """A run made, with its tiles; no id when nothing was left to do. The rest is as in `PlannedRun`."""

    run_id: int | None
    tiles: int
    known: int
    under_way: tuple[UnderWay, ...] = ()
    left_out: dict[str, list[str]] = field(default_factory=dict)


def plan_run(
    connection: Connection,
    project: ProjectView,
    model: ModelView,
    choice: TileChoice,
    *,
    prompt_hash: str = "",
    again: bool = False,
) -> PlannedRun:
    """Plan the run that `begin_run` would begin now. Raises InputError, NotFoundError."""
    everything = choose_tiles(connection, project, replace(choice, most=None))
    stays = imagery_that_stays_here(connection, project, model.backend, model.parameters)
    refused = tiles_that_stay(connection, everything, stays)
    barred = {key for tiles in refused.values() for key in tiles}
    taken = {} if again else _taken(connection, model, prompt_hash)
    mine = {key: run for key, run in taken.items() if key in everything and key not in barred}
    chosen = choose_tiles(connection, project, choice, frozenset(taken) | barred)
    at_work = Counter(run for run in mine.values() if run is not None)
    return PlannedRun(
        chosen,
        known=len(mine) - at_work.total(),
        under_way=tuple(UnderWay(run, count, _where(connection, run)) for run, count in sorted(at_work.items())),
        left_out=names_of(refused),
    )


def begin_run(
    connection: Connection,
    project: ProjectView,
    model: ModelView,
    choice: TileChoice,
    *,
    prompt_hash: str = "",
    parameters: dict[str, Any] | None = None,
    again: bool = False,
) -> BegunRun:
    """Make a run with its pending tiles; needs a write transaction.

    Tiles that the same model predicted to the same question, or is predicting in a run under way, are left out unless
    wanted `again`. Raises InputError, NotFoundError.
    """
    lock_project(connection, project.id)
    planned = plan_run(connection, project, model, choice, prompt_hash=prompt_hash, again=again)
    if not planned.tiles:
        return BegunRun(None, 0, planned.known, planned.under_way, planned.left_out)
    count = len(planned.tiles)
    run_id = connection.execute(
        insert(Run)
        .values(
            project_id=project.id,
            model_id=model.id,
            status="running",
            prompt_hash=prompt_hash,
            parameters=parameters or {},
            tiles=count,
            cost=0.0,
            score_cut=score_cut_of(connection, project.id, model.id),
        )
        .returning(Run.id)
    ).scalar_one()
    nothing = [0] * count
    insert_rows(
        connection,
        RunTile,
        {
            "run_id": [run_id] * count,
            "tile_id": list(planned.tiles),
            "status": ["pending"] * count,
            "message": [""] * count,
            "features": nothing,
            "dropped": [{}] * count,
            "input_tokens": nothing,
            "cached_tokens": nothing,
            "cache_write_tokens": nothing,
            "output_tokens": nothing,
            "seconds": [0.0] * count,
        },
    )
    return BegunRun(run_id, count, planned.known, planned.under_way, planned.left_out)


def _taken(connection: Connection, model: ModelView, prompt_hash: str) -> dict[int, int | None]:
    """Return ids of tiles that need no asking: with the run at work on them, None for those that are done.

    At work is a worker that is alive or will come, or a server with a batch. A run that was cancelled may have asked
    about any of its tiles until its worker has ended.
    """
    under_way = [
        row.id
        for row in connection.execute(
            select(Run.id, Run.status, Run.parameters, Run.worker, Run.beat_at).where(
                Run.model_id == model.id, Run.status.in_(("running", "cancelled"))
            )
        )
        if (row.status == "running" and is_in_app(row.parameters)) or is_alive(row.worker, row.beat_at)
    ]
    rows = connection.execute(
        select(RunTile.tile_id, RunTile.status, Run.id)
        .join(Run, Run.id == RunTile.run_id)
        .where(
            Run.model_id == model.id,
            Run.prompt_hash == prompt_hash,
            or_(RunTile.status == "ok", (RunTile.status == "pending") & Run.id.in_(under_way)),
        )
    )
    at_server = connection.execute(
        select(BatchTile.tile_id, Run.id)
        .join(Batch, Batch.id == BatchTile.batch_id)
        .join(Run, Run.id == Batch.run_id)
        .join(RunTile, (RunTile.run_id == Run.id) & (RunTile.tile_id == BatchTile.tile_id))
        .where(
            Run.model_id == model.id,
            Run.prompt_hash == prompt_hash,
            Batch.status.in_(OPEN_BATCHES),
            RunTile.status == "pending",
        )
    )
    taken: dict[int, int | None] = {row.tile_id: row.id for row in at_server}
    done = set()
    for row in rows:
        if row.status == "ok":
            done.add(row.tile_id)
        else:
            taken[row.tile_id] = row.id
    return {**taken, **dict.fromkeys(done)}


def _where(connection: Connection, run_id: int) -> str:
    """Say where a run is at work: part of a sentence."""
    row = connection.execute(select(Run.worker, Run.beat_at, Run.parameters).where(Run.id == run_id)).one()
    if is_alive(row.worker, row.beat_at):
        host, process, _ = row.worker.rsplit(":", 2)
        return f"in process {process} on {host}"
    return "in the app, which waits to begin" if is_in_app(row.parameters) else "in a batch at the server"


def new_worker() -> str:
    """A name for a worker: machine, process, and a mark of its own."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


def is_in_app(parameters: dict[str, Any]) -> bool:
    """Whether a run of these parameters is the app's to carry out."""
    return all(parameters.get(name) == value for name, value in IN_APP.items())


def is_alive(worker: str, beat_at: Any) -> bool:
    """Whether a worker can be taken to be at work: it gave a sign of life, and its process is not known to be gone."""
    if not worker or beat_at is None or beat_at < utc_now() - timedelta(seconds=LEASE_SECONDS):
        return False
    host, process, _ = worker.rsplit(":", 2)
    if os.name != "posix" or host != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def take_run(
    connection: Connection, project: ProjectView, run_id: int, worker: str, *, resume: bool = True
) -> tuple[list[Tile], list[Tile]]:
    """Take a run up -> its pending tiles, neighbours near one another, and those done; needs a write transaction.

    Raises NotFoundError, ConflictError when it is finished or somebody else is at work on it, and, unless this is to
    `resume` it, when it was ended.
    """
    row = _unfinished(connection, project, run_id)
    if row.status != "running" and not resume:
        msg = f"Run {run_id} is {row.status}: resume it, or begin a new one."
        raise ConflictError(msg)
    if is_alive(row.worker, row.beat_at):
        host, process, _ = row.worker.rsplit(":", 2)
        msg = f"Run {run_id} is going on in process {process} on {host}: cancel it, or wait."
        raise ConflictError(msg)
    connection.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(status="running", worker=worker, beat_at=utc_now(), finished_at=None, error="")
    )
    tiles: dict[bool, list[Tile]] = {True: [], False: []}
    for each in connection.execute(
        select(TileRow.z, TileRow.x, TileRow.y, RunTile.status)
        .join(RunTile, RunTile.tile_id == TileRow.id)
        .where(RunTile.run_id == run_id)
        .order_by(TileRow.quadkey)
    ):
        tiles[each.status == "pending"].append(Tile(each.z, each.x, each.y))
    return tiles[True], tiles[False]


def _unfinished(connection: Connection, project: ProjectView, run_id: int) -> Row[Any]:
    """A run that may be gone on with, locked. Raises NotFoundError, ConflictError when it is finished."""
    row = connection.execute(
        select(Run.status, Run.parameters, Run.worker, Run.beat_at)
        .where(Run.id == run_id, Run.project_id == project.id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        msg = f"There is no run {run_id} of {project.name!r}."
        raise NotFoundError(msg)
    if row.status == "finished":
        msg = f"Run {run_id} is finished: begin a new one."
        raise ConflictError(msg)
    return row


def beat(connection: Connection, run_id: int, worker: str) -> bool:
    """Give a sign of life -> whether to go on: False when the run was cancelled, or somebody else has it."""
    kept = connection.execute(
        update(Run).where(Run.id == run_id, Run.worker == worker).values(beat_at=utc_now()).returning(Run.status)
    ).scalar()
    return kept == "running"


def record_outcomes(
    connection: Connection,
    project: ProjectView,
    run_id: int,
    worker: str,
    outcomes: Sequence[Outcome],
    features: Sequence[int],
    dropped: Sequence[dict[str, int]],
    stored: dict[str, int],
) -> str:
    """Say what became of tiles, in the transaction that stores their predictions -> the run's status.

    `features` and `dropped` are counts by outcome; `stored` adds up in the run's report.

    Raises ConflictError when somebody else has taken the run, or one of the tiles was done before.
    """
    run = connection.execute(
        select(Run.report, Run.status).where(Run.id == run_id, Run.worker == worker).with_for_update()
    ).one_or_none()
    if run is None:
        msg = f"Run {run_id} was taken up by somebody else: what was predicted here since is dropped."
        raise ConflictError(msg)
    ids = tile_ids(connection, project, [outcome.tile for outcome in outcomes])
    rows = [
        {
            "the_run": run_id,
            "the_tile": ids[outcome.tile],
            "status": "failed" if outcome.failure else "ok",
            "failure": outcome.failure.kind if outcome.failure else None,
            "message": outcome.failure.message if outcome.failure else "",
            "features": count,
            "dropped": dict(lost),
            **_spent(outcome),
        }
        for outcome, count, lost in zip(outcomes, features, dropped, strict=True)
    ]
    pending = connection.execute(
        select(func.count()).where(
            RunTile.run_id == run_id, RunTile.status == "pending", RunTile.tile_id.in_(list(ids.values()))
        )
    ).scalar_one()
    if pending != len(rows):
        msg = f"Run {run_id} got {len(rows)} outcomes for {pending} tiles that it waits for: none of them was stored."
        raise ConflictError(msg)
    connection.execute(
        update(RunTile).where(RunTile.run_id == bindparam("the_run"), RunTile.tile_id == bindparam("the_tile")), rows
    )
    sums = {name: sum((_spent(each)[name] or 0) for each in outcomes) for name in _spent(outcomes[0])}
    if any(each.usage.cost is None for each in outcomes):
        sums["cost"] = None
    connection.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(
            {
                **{name: getattr(Run, name) + value for name, value in sums.items()},  # an unknown cost stays unknown
                "beat_at": utc_now(),
                "report": {**run.report, **{name: run.report.get(name, 0) + count for name, count in stored.items()}},
            }
        )
    )
    return str(run.status)


def _spent(outcome: Outcome) -> dict[str, Any]:
    usage = outcome.usage
    return {
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "cost": usage.cost,
        "seconds": usage.seconds,
    }


def tile_ids(connection: Connection, project: ProjectView, tiles: Sequence[Tile]) -> dict[Tile, int]:
    """The row ids of some tiles of a project, at least one."""
    xs, ys = [tile.x for tile in tiles], [tile.y for tile in tiles]
    rows = connection.execute(
        select(TileRow.id, TileRow.z, TileRow.x, TileRow.y).where(
            TileRow.project_id == project.id,
            TileRow.z == project.zoom,
            TileRow.x.between(min(xs), max(xs)),
            TileRow.y.between(min(ys), max(ys)),
        )
    )
    known = {Tile(row.z, row.x, row.y): row.id for row in rows}
    return {tile: known[tile] for tile in tiles}


def end_run(connection: Connection, run_id: int, worker: str, status: str, error: str = "") -> None:
    """End the work on a run; one that was cancelled meanwhile stays so, unless every tile of it was done all the same.

    With the status `running` it is put down, for anybody to take up. Nothing happens when somebody else has it.
    """
    mine: ColumnElement[bool] = (Run.id == run_id) & (Run.worker == worker)
    ending = mine if status == "finished" else mine & (Run.status == "running")
    finished_at = None if status == "running" else utc_now()
    connection.execute(update(Run).where(ending).values(status=status, error=error, finished_at=finished_at))
    connection.execute(update(Run).where(mine).values(worker="", beat_at=None))


def give_up_run(connection: Connection, run_id: int, error: str) -> None:
    """Say why a run cannot be taken up; nothing happens when somebody is at work on it, or it has ended."""
    row = connection.execute(
        select(Run.worker, Run.beat_at).where(Run.id == run_id, Run.status == "running").with_for_update()
    ).one_or_none()
    if row is not None and not is_alive(row.worker, row.beat_at):
        connection.execute(
            update(Run)
            .where(Run.id == run_id)
            .values(status="failed", error=error, worker="", beat_at=None, finished_at=utc_now())
        )


def hand_to_app(connection: Connection, project: ProjectView, run_id: int) -> None:
    """Let the app go on with a run that was left unfinished. Raises NotFoundError, ConflictError."""
    row = _unfinished(connection, project, run_id)
    if is_alive(row.worker, row.beat_at):
        msg = f"Run {run_id} is still at work: wait until it has stopped."
        raise ConflictError(msg)
    connection.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(
            status="running",
            parameters={**row.parameters, **IN_APP},
            worker="",
            beat_at=None,
            error="",
            finished_at=None,
        )
    )


def cancel_run(connection: Connection, project: ProjectView, run_id: int) -> None:
    """Ask for a run to stop: its worker begins nothing new. Raises NotFoundError, ConflictError when it has ended."""
    status = connection.execute(select(Run.status).where(Run.id == run_id, Run.project_id == project.id)).scalar()
    if status is None:
        msg = f"There is no run {run_id} of {project.name!r}."
        raise NotFoundError(msg)
    if status != "running":
        msg = f"Run {run_id} is {status} already."
        raise ConflictError(msg)
    connection.execute(
        update(Run).where(Run.id == run_id, Run.status == "running").values(status="cancelled", finished_at=utc_now())
    )


def remember(connection: Connection, run_id: int, **values: Any) -> None:
    """Keep more, or other, values among a run's parameters; needs a write transaction."""
    known = connection.execute(select(Run.parameters).where(Run.id == run_id).with_for_update()).scalar_one()
    connection.execute(update(Run).where(Run.id == run_id).values(parameters={**known, **values}))
