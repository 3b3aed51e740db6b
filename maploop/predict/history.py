"""What runs did, to be shown: tiles by outcome, failures by kind, tokens, cost, seconds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from db.models import Model, Run, RunTile
from db.models import Tile as TileRow
from maploop.errors import NotFoundError
from maploop.imagery.tilemath import Tile
from maploop.predict.models import ModelView
from maploop.predict.predictor import Usage
from maploop.predict.runs import is_alive, is_in_app
from maploop.predict.set_ups import set_ups_of
from maploop.project import ProjectView

_COUNTED_AS = {"ok": "done", "failed": "failed", "pending": "pending"}


@dataclass(frozen=True)
class RunView:
    """A run. `status` is `interrupted` when it is under way and nobody works on it, `waiting` when the app is going to,
    `stopping` when it was cancelled and what is on its way is waited for.

    done, failed, pending   of its tiles; `failures` are those by kind; `features` were found on the done ones.
                            A file of predictions is stored in one go, and its tiles are none of these
    report                  what became of the features, as `store.StoredRun` counts
    """

    id: int
    model: str
    backend: str
    source: str
    status: str
    prompt_hash: str
    parameters: dict[str, Any]
    report: dict[str, Any]
    error: str
    usage: Usage
    started_at: datetime
    finished_at: datetime | None
    tiles: int
    done: int = 0
    failed: int = 0
    pending: int = 0
    features: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def can_resume(self) -> bool:
        """Whether somebody may go on with it."""
        return self.pending > 0 and self.status in ("interrupted", "waiting", "cancelled", "failed")

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        used = self.usage
        return {
            "run": self.id,
            "model": self.model,
            "status": self.status,
            "tiles": self.tiles,
            "predicted": self.done,
            "failed": self.failed,
            "pending": self.pending,
            "features": self.features,
            "failures": self.failures,
            "prompt_hash": self.prompt_hash,
            "tokens": {
                "input": used.input_tokens,
                "cached": used.cached_tokens,
                "cache_write": used.cache_write_tokens,
                "output": used.output_tokens,
            },
            "cost": used.cost,
            "seconds": round(used.seconds, 3),
            "report": self.report,
            "error": self.error,
        }


@dataclass(frozen=True)
class FailedTile:
    """A tile without an answer: the kind of its failure, and one line for people."""

    tile: Tile
    kind: str
    message: str


def load_run(connection: Connection, project: ProjectView, run_id: int) -> RunView:
    """One run of a project. Raises NotFoundError."""
    found = _views(connection, _runs(project).where(Run.id == run_id))
    if not found:
        msg = f"There is no run {run_id} of {project.name!r}."
        raise NotFoundError(msg)
    return found[0]


def list_runs(connection: Connection, project: ProjectView) -> list[RunView]:
    """All runs of a project, newest first."""
    return _views(connection, _runs(project).order_by(Run.id.desc()))


def last_unfinished(connection: Connection, project: ProjectView, model: ModelView) -> RunView:
    """The newest run of a model, or of a set-up of it, that can be resumed. Raises NotFoundError."""
    ids = [model.id, *(each.id for each in set_ups_of(connection, project, model))]
    for run in _views(connection, _runs(project).where(Run.model_id.in_(ids)).order_by(Run.id.desc())):
        if run.can_resume:
            return run
    msg = f"{model.name!r} has no run that was left unfinished: begin a new one."
    raise NotFoundError(msg)


def failed_tiles(connection: Connection, run_id: int) -> list[FailedTile]:
    """The tiles of a run that failed, by place."""
    rows = connection.execute(
        select(TileRow.z, TileRow.x, TileRow.y, RunTile.failure, RunTile.message)
        .join(RunTile, RunTile.tile_id == TileRow.id)
        .where(RunTile.run_id == run_id, RunTile.status == "failed")
        .order_by(TileRow.quadkey)
    )
    return [FailedTile(Tile(row.z, row.x, row.y), row.failure or "", row.message) for row in rows]


def dropped_features(connection: Connection, run_id: int) -> dict[str, int]:
    """Count the features of a run's answers that could not be used, by reason, most frequent first."""
    total: Counter[str] = Counter()
    for lost in connection.execute(select(RunTile.dropped).where(RunTile.run_id == run_id)).scalars():
        total.update(lost)
    return dict(total.most_common())


def _runs(project: ProjectView) -> Select[Any]:
    return (
        select(Run.__table__, Model.name, Model.backend)
        .join(Model, Model.id == Run.model_id)
        .where(Run.project_id == project.id)
    )


def _views(connection: Connection, query: Select[Any]) -> list[RunView]:
    rows = connection.execute(query).all()
    counts = _counts(connection, [row.id for row in rows])
    return [_view(row, counts.get(row.id, {})) for row in rows]


def _counts(connection: Connection, run_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """By run: tiles done and failed, features, failures by kind."""
    found: dict[int, dict[str, Any]] = {}
    if not run_ids:
        return found
    for row in connection.execute(
        select(RunTile.run_id, RunTile.status, RunTile.failure, func.count(), func.sum(RunTile.features))
        .where(RunTile.run_id.between(min(run_ids), max(run_ids)))
        .group_by(RunTile.run_id, RunTile.status, RunTile.failure)
        .order_by(RunTile.run_id, RunTile.failure)
    ):
        run_id, status, failure, tiles, features = row
        counts = found.setdefault(run_id, {"done": 0, "failed": 0, "pending": 0, "features": 0, "failures": {}})
        counts["features"] += int(features or 0)
        counts[_COUNTED_AS[status]] += tiles
        if status == "failed":
            counts["failures"][failure or ""] = tiles
    return found


def _view(row: Row[Any], counts: dict[str, Any]) -> RunView:
    status = row.status
    if status == "running" and not is_alive(row.worker, row.beat_at):
        status = "waiting" if is_in_app(row.parameters) else "interrupted"
    elif status == "cancelled" and is_alive(row.worker, row.beat_at):
        status = "stopping"
    return RunView(
        id=row.id,
        model=row.name,
        backend=row.backend,
        source=row.source,
        status=status,
        prompt_hash=row.prompt_hash,
        parameters=row.parameters,
        report=row.report,
        error=row.error,
        usage=Usage(
            row.input_tokens, row.cached_tokens, row.cache_write_tokens, row.output_tokens, row.cost, row.seconds
        ),
        started_at=row.started_at,
        finished_at=row.finished_at,
        tiles=row.tiles,
        **counts,
    )
