"""Runs in the background of the app: begun, resumed and cancelled from a page, carried out by the foreman."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from db.models import Model, Run
from maploop.database import Database
from maploop.errors import said_of
from maploop.keys import secrets_to_hand_on
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.choosing import TileChoice
from maploop.predict.history import RunView, load_run
from maploop.predict.models import ModelView, load_model
from maploop.predict.registry import estimate_run, open_predictor, parameters_of_run, question_hash
from maploop.predict.run import carry_out
from maploop.predict.runs import (
    IN_APP,
    BegunRun,
    begin_run,
    cancel_run,
    give_up_run,
    hand_to_app,
    is_alive,
    is_in_app,
    remember,
)
from maploop.predict.scene import Sources
from maploop.predict.set_ups import set_up
from maploop.project import ProjectView, load_project_by_id
from maploop.work.foreman import Foreman, Key, Lane, Watch
from maploop.work.messenger import Errand, send

BATCH = "batch"  # among a run's parameters: its tiles are asked in batches
HEAVY_BACKENDS = frozenset({"local", "transformers"})
SLOW_TO_OPEN = "transformers"  # whose weights are loaded where they are used, not while a page waits


@dataclass(frozen=True)
class RunTask:
    """A run that waits to be taken up; `apart`: by a process of its own."""

    database: Database
    project_id: int
    run_id: int
    lane: Lane
    apart: bool = False
    sources: Sources | None = None

    @property
    def key(self) -> Key:
        """See `foreman.Task`."""
        return run_key(self.run_id)

    def carry_out(self, watch: Watch) -> None:
        """See `foreman.Task`."""
        if self.apart:
            self._send(watch)
        else:
            carry_out_run(
                self.database,
                self.project_id,
                self.run_id,
                hear=watch.hear,
                put_down=watch.cancelled,
                sources=self.sources,
            )

    def _send(self, watch: Watch) -> None:
        try:
            send(Errand(self.database.url, "run", self.project_id, self.run_id, self._keys()), watch)
        except Exception as error:
            _give_up(self.database, self.run_id, error)
            raise

    def _keys(self) -> dict[str, str]:
        """The key of the run's server, by its name; none when it needs or has none."""
        with self.database.read() as connection:
            model = connection.execute(
                select(Model.backend, Model.parameters).join(Run, Run.model_id == Model.id).where(Run.id == self.run_id)
            ).one()
        asked = ChatParameters.of(model.parameters) if model.backend == "chat" else None
        return secrets_to_hand_on(asked.key, asked.base_url) if asked and asked.key else {}


def carry_out_run(
    database: Database,
    project_id: int,
    run_id: int,
    *,
    hear: Callable[[float], None],
    put_down: Callable[[], bool],
    sources: Sources | None = None,
) -> None:
    """Take a run of the app up and carry it out, and leave in its row how it ended, whatever that was.

    `hear` is told how far it is, from 0 to 1. For `put_down` see `predict.run.carry_out`; a run that was cancelled has
    its row say so. Raises what `open_predictor` and `carry_out` raise.
    """
    try:
        with database.read() as connection:
            project = load_project_by_id(connection, project_id)
            run = load_run(connection, project, run_id)
            model = load_model(connection, project, run.model)
        carry_out(
            database,
            project,
            run_id,
            open_predictor(project, model, run.parameters, database=database),
            hear=lambda now: hear(now.share),
            put_down=put_down,
            sources=sources,
            resume=False,
        )
    except Exception as error:
        _give_up(database, run_id, error)
        raise


def _give_up(database: Database, run_id: int, error: Exception) -> None:
    with database.write() as connection:
        give_up_run(connection, run_id, said_of(error))


def run_key(run_id: int) -> Key:
    """How the foreman calls a run."""
    return ("run", run_id)


def waiting_runs(database: Database, sources: Sources | None = None, *, apart: bool = False) -> list[RunTask]:
    """The app's runs that are under way and that nobody works on, the oldest first.

    `apart`: all but batches, which only wait, are carried out by processes of their own.
    """
    with database.read() as connection:
        rows = connection.execute(
            select(Run.id, Run.project_id, Run.parameters, Run.worker, Run.beat_at, Model.backend)
            .join(Model, Model.id == Run.model_id)
            .where(Run.status == "running")
            .order_by(Run.id)
        ).all()
    return [
        RunTask(database, row.project_id, row.id, lane, apart and lane != "watching", sources)
        for row in rows
        if is_in_app(row.parameters) and not is_alive(row.worker, row.beat_at)
        for lane in [_lane(row.backend, row.parameters)]
    ]


def _lane(backend: str, parameters: Mapping[str, Any]) -> Lane:
    if backend in HEAVY_BACKENDS:
        return "heavy"
    return "watching" if parameters.get(BATCH) else "asking"


def begin(
    database: Database,
    project: ProjectView,
    model: ModelView,
    choice: TileChoice,
    *,
    parameters: Mapping[str, Any] | None = None,
    again: bool = False,
) -> BegunRun:
    """Begin a run that the app carries out; see `predict.runs.begin_run`. Raises MaploopError when it cannot be."""
    remembered = parameters_of_run(database, project, model, parameters or {})
    question = _question(database, project, model, remembered)
    with database.write() as connection:
        begun = begin_run(
            connection,
            project,
            set_up(connection, project, model, remembered),
            choice,
            prompt_hash=question,
            parameters={**remembered, **IN_APP},
            again=again,
        )
    if begun.run_id is not None and (expected := estimate_run(database, project, model, remembered, begun.tiles)):
        with database.write() as connection:
            remember(connection, begun.run_id, estimate=expected.to_json())
    return begun


def _question(database: Database, project: ProjectView, model: ModelView, parameters: Mapping[str, Any]) -> str:
    """The prompt hash of such a run. Raises MaploopError when the model cannot be asked: better now than later."""
    if model.backend == SLOW_TO_OPEN:
        return question_hash(database, project, model, parameters)
    return open_predictor(project, model, parameters, database=database).prompt_hash


def resume(database: Database, project: ProjectView, run: RunView, **changed: Any) -> None:
    """Let the app go on with a run; `changed` parameters are remembered. Raises MaploopError when it cannot be."""
    with database.read() as connection:
        model = load_model(connection, project, run.model)
    _question(database, project, model, {**run.parameters, **changed})
    with database.write() as connection:
        hand_to_app(connection, project, run.id)
        if changed:
            remember(connection, run.id, **changed)


def cancel(database: Database, project: ProjectView, run_id: int, foreman: Foreman | None) -> None:
    """Stop a run wherever it is at work. Raises NotFoundError, ConflictError when it has ended."""
    with database.write() as connection:
        cancel_run(connection, project, run_id)
    if foreman:
        foreman.cancel(run_key(run_id))
