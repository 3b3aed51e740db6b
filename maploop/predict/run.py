"""The run engine: hands tiles to a predictor, puts every batch of outcomes on disk, and can be stopped and resumed.

A batch is stored in one transaction, with the features, what became of each tile and what was used. A kill therefore
loses what the predictor had not handed over, and nothing else; who resumes the run asks for what is pending only.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, select

from db.models import Model, Run
from maploop.database import Database
from maploop.errors import ConflictError, MaploopError
from maploop.imagery.sharing import imagery_that_stays
from maploop.predict.choosing import TileChoice
from maploop.predict.destination import is_sent_away
from maploop.predict.history import RunView, load_run
from maploop.predict.models import ModelView
from maploop.predict.outcomes import feature_table
from maploop.predict.predictor import (
    NOTHING_USED,
    AnswersLaterError,
    Assignment,
    Outcome,
    Predictor,
    RunEndsError,
    Usage,
)
from maploop.predict.pulse import Pulse
from maploop.predict.runs import BEAT_SECONDS, beat, begin_run, end_run, new_worker, record_outcomes, take_run
from maploop.predict.scene import Sources, nothing_stays, source_of_tile, sources_of
from maploop.predict.store import Covered, StoredRun, store_batch
from maploop.project import ProjectView

_ADDED_UP: Final = (
    "imported", "new", "updated", "confirmed", "remembered_rejects", "unsure", "held", "withdrawn", "below_cut",
)  # fmt: skip


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: tiles done and failed, with what was used for them; `under_way` counts parts of tiles too."""

    run_id: int
    tiles: int
    done: int = 0
    failed: int = 0
    under_way: float = 0.0
    features: int = 0
    usage: Usage = NOTHING_USED

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, (self.done + self.failed + self.under_way) / max(1, self.tiles))


@dataclass(frozen=True)
class PredictReport:
    """What came of a wish to predict: the run, None when nothing was left to do; tiles `known` were not asked again."""

    run: RunView | None
    known: int

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {**(self.run.to_json() if self.run else {"run": None, "tiles": 0}), "known": self.known}


Hear = Callable[[RunProgress], None]


def predict_tiles(
    database: Database,
    project: ProjectView,
    model: ModelView,
    predictor: Predictor,
    choice: TileChoice,
    *,
    parameters: dict[str, Any] | None = None,
    again: bool = False,
    hear: Hear = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    sources: Sources | None = None,
) -> PredictReport:
    """Begin a run over the chosen tiles and carry it out; what the model predicted before is left out unless `again`.

    Raises what `begin_run` and `carry_out` raise.
    """
    with database.write() as connection:
        begun = begin_run(
            connection,
            project,
            model,
            choice,
            prompt_hash=predictor.prompt_hash,
            parameters=parameters,
            again=again,
        )
    if begun.run_id is None:
        return PredictReport(None, begun.known)
    run = carry_out(database, project, begun.run_id, predictor, hear=hear, cancelled=cancelled, sources=sources)
    return PredictReport(run, begun.known)


def carry_out(
    database: Database,
    project: ProjectView,
    run_id: int,
    predictor: Predictor,
    *,
    hear: Hear = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    put_down: Callable[[], bool] = lambda: False,
    sources: Sources | None = None,
    resume: bool = True,
) -> RunView:
    """Predict the pending tiles of a run that nobody is at work on -> the run as it ended: finished or cancelled.

    `hear` is told how far it is, from this thread. Once `cancelled` says so, or somebody cancels the run, nothing new
    is begun; what is under way is still stored. The same holds when its budget is used up, as its `error` then says,
    and once `put_down` says so, which leaves the run for anybody to take up, as does one whose answers come later.
    Raises ConflictError when somebody is at work on it, when it asks another question now, or was ended and this is not
    to `resume` it; and whatever stops the predictor, after which the run is `failed` and can be resumed.
    """
    worker = new_worker()
    with database.write() as connection:
        model_id = _checked(connection, run_id, predictor)
        pending, done = take_run(connection, project, run_id, worker, resume=resume)
    status, error = "failed", "It stopped without saying why."
    with _RunPulse(database, run_id, worker, lambda: cancelled() or put_down()) as pulse:
        try:
            with database.read() as connection:
                stays = _what_stays(connection, database, project, model_id)
                source_of = source_of_tile(connection, project, sources or sources_of(database), stays=stays)
            desk = _Desk(database, project, run_id, model_id, worker, predictor, hear, len(pending) + len(done))
            assignment = Assignment(
                tiles=pending,
                source_of=source_of,
                done=frozenset(done),
                size=project.tile_size,
                stopped=pulse.stopped,
                report=desk.say_under_way,
                used=desk.used,
                run_id=run_id,
                worker=worker,
            )
            left = len(pending)
            for outcomes in predictor.predict(assignment):
                if not desk.store(outcomes):
                    pulse.stop()
                left -= len(outcomes)
            if left and not pulse.stopped():
                msg = f"The model gave no outcome for {left} of {len(pending)} tiles: resume the run."
                raise ConflictError(msg)
            if not left:
                status, error = "finished", ""
            else:
                status, error = ("running" if put_down() and not cancelled() else "cancelled"), ""
        except RunEndsError as end:
            status, error = "cancelled", str(end)
        except AnswersLaterError:
            status, error = "running", ""
        except MaploopError as failure:
            error = str(failure)
            raise
        except KeyboardInterrupt:
            status, error = "cancelled", ""
            raise
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            with database.write() as connection:
                end_run(connection, run_id, worker, status, error)
    with database.read() as connection:
        return load_run(connection, project, run_id)


def _checked(connection: Connection, run_id: int, predictor: Predictor) -> int:
    """The id of the run's model, 0 when there is no such run. Raises ConflictError when the question has changed."""
    row = connection.execute(select(Run.model_id, Run.prompt_hash).where(Run.id == run_id)).one_or_none()
    if row is not None and row.prompt_hash != predictor.prompt_hash:
        msg = f"Run {run_id} was begun with another prompt than the project has now: begin a new one."
        raise ConflictError(msg)
    return row.model_id if row else 0


def _what_stays(
    connection: Connection, database: Database, project: ProjectView, model_id: int
) -> Callable[[], Mapping[int, str]]:
    """Return a function that looks up, whenever it is called, which imagery the model may not be shown."""
    row = connection.execute(select(Model.backend, Model.parameters).where(Model.id == model_id)).one_or_none()
    if row is None or not is_sent_away(row.backend, row.parameters):
        return nothing_stays

    def stays() -> Mapping[int, str]:
        with database.read() as now:
            return imagery_that_stays(now, project.id)

    return stays


class _Desk:
    """Where the outcomes of one run arrive."""

    def __init__(
        self,
        database: Database,
        project: ProjectView,
        run_id: int,
        model_id: int,
        worker: str,
        predictor: Predictor,
        hear: Hear,
        tiles: int,
    ) -> None:
        self._database = database
        self._project = project
        self._run_id = run_id
        self._model_id = model_id
        self._worker = worker
        self._hear = hear
        self._class_ids = [project.class_named(name).id for name in predictor.class_names]
        with database.read() as connection:
            run = load_run(connection, project, run_id)
        self._progress = RunProgress(run_id, tiles, run.done, run.failed, 0.0, run.features, run.usage)

    @property
    def used(self) -> Usage:
        """What the run used so far."""
        return self._progress.usage

    def say_under_way(self, tiles: float) -> None:
        """Tell how many tiles of the outcomes to come are through."""
        self._hear(replace(self._progress, under_way=tiles))

    def store(self, outcomes: Sequence[Outcome]) -> bool:
        """Put outcomes on disk, all of them or none -> whether more are wanted: False when the run was cancelled."""
        if not outcomes:
            return True
        table, dropped = feature_table(self._project, outcomes)
        counts = [int((table.rows == row).sum()) for row in range(len(outcomes))]

        status = "running"

        def record(connection: Connection, stored: StoredRun) -> None:
            nonlocal status
            added = {name: count for name, count in asdict(stored).items() if name in _ADDED_UP}
            for name in ("repaired", "unanswered"):
                if count := sum(getattr(each, name) for each in outcomes):
                    added[name] = count
            status = record_outcomes(
                connection, self._project, self._run_id, self._worker, outcomes, counts, dropped, added
            )

        covered = Covered([each.tile for each in outcomes if each.failure is None], self._class_ids)
        store_batch(
            self._database,
            self._project,
            table,
            run_id=self._run_id,
            model_id=self._model_id,
            covered=covered,
            record=record,
        )
        failed = sum(each.failure is not None for each in outcomes)
        before = self._progress
        self._progress = replace(
            before,
            done=before.done + len(outcomes) - failed,
            failed=before.failed + failed,
            features=before.features + len(table),
            usage=sum((each.usage for each in outcomes), before.usage),
        )
        self._hear(self._progress)
        return status == "running"


class _RunPulse(Pulse):
    """Of a run, and finds out that it was cancelled."""

    def __init__(self, database: Database, run_id: int, worker: str, is_over: Callable[[], bool]) -> None:
        super().__init__(database, f"run-{run_id}", BEAT_SECONDS)
        self._run_id = run_id
        self._worker = worker
        self._is_over = is_over
        self._stop = threading.Event()

    def stopped(self) -> bool:
        """True once nothing new is to be begun."""
        if not self._stop.is_set() and self._is_over():
            self._stop.set()
        return self._stop.is_set()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stop.set()

    def beat(self, connection: Connection) -> bool:
        """See `Pulse`: what is under way is still wanted, so it beats on."""
        if not beat(connection, self._run_id, self._worker):
            self._stop.set()
        return True
