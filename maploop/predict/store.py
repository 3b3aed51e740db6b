"""Storing what a model predicted: one run, its predictions and the features they stand for, all or nothing."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select, update

from db.bulk import MANY, insert_rows, lock_project, refresh_statistics, reserve_ids, update_rows
from db.conditions import undecided
from db.models import Claim, Feature, Model, Prediction, Run, Tile, TileFeature
from db.types import utc_now
from maploop.database import Database
from maploop.errors import ConflictError, InputError
from maploop.imagery.tiles import ensure_tiles
from maploop.predict.memory import Recall, known_features, recall, recall_since
from maploop.predict.placing import Placement, drop_places, keep_places, place
from maploop.predict.uncertainty import refresh_uncertainty
from maploop.project import MAX_NAME, ProjectView
from maploop.vectors.features import FeatureTable

Progress = Callable[[str], None]


@dataclass(frozen=True)
class NewRun:
    """A run about to be stored. Two runs of one model with equal `fingerprint` are the same predictions twice."""

    model: str
    backend: str
    source: str
    started_at: datetime
    identifier: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    again: bool = False  # store it although the fingerprint is known


@dataclass(frozen=True)
class StoredRun:
    """What became of the predictions of a run.

    new                 stand for something nobody had predicted or drawn: they ask for attention
    updated             undecided features that show this run's prediction now
    confirmed           stand for an annotation
    remembered_rejects  stand for something rejected before: they stay rejected
    unsure              stand for something somebody was unsure of: it stays so
    held                undecided features left as shown, because their tile is under review right now
    withdrawn           undecided features of other models on these tiles that this run does not predict: not shown
    tiles               tiles touched; `outside_imagery`: predictions on none with imagery, which nobody can review yet
    """

    run: int
    imported: int
    new: int
    updated: int
    confirmed: int
    remembered_rejects: int
    unsure: int
    held: int
    withdrawn: int
    tiles: int
    outside_imagery: int


def check_model_name(name: str) -> str:
    """The name of a model as it is kept. Raises InputError."""
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        msg = f"{name[:40]!r} is not a model name: use 1 to {MAX_NAME} printable characters."
        raise InputError(msg)
    return name


def check_not_stored(connection: Connection, project: ProjectView, run: NewRun) -> None:
    """Make sure that these predictions are not there already. Raises ConflictError naming the run that has them."""
    if run.again or not run.fingerprint:
        return
    earlier = connection.execute(
        select(Run.id, Run.started_at, Run.report)
        .join(Model, Model.id == Run.model_id)
        .where(Run.project_id == project.id, Model.name == run.model)
        .order_by(Run.id)
    )
    for row in earlier:
        if row.report.get("fingerprint") == run.fingerprint:
            msg = (
                f"{Path(run.source).name} was imported for model {run.model!r} already, as run {row.id} on "
                f"{row.started_at:%Y-%m-%d %H:%M} UTC: import it --again if that is meant."
            )
            raise ConflictError(msg)


def store_run(
    database: Database,
    project: ProjectView,
    table: FeatureTable,
    run: NewRun,
    progress: Progress = lambda _: None,
) -> StoredRun:
    """Store a run's predictions, all or nothing; what can be found out before taking the writer is.

    No feature may span more tiles than `placing.place` takes. Raises ConflictError, InputError.
    """
    class_ids = np.array([project.class_named(name).id for name in table.class_names], dtype=np.int64)
    placement = place(table.geometries, project.zoom)
    progress("Comparing with what is known")
    with database.read() as connection:
        known = known_features(connection, project, placement.tiles)
    recalled = recall(table.geometries, class_ids, known, project)
    progress("Writing")
    with database.write() as connection:
        lock_project(connection, project.id)
        check_not_stored(connection, project, run)
        recalled = recall_since(connection, project, placement.tiles, table.geometries, class_ids, recalled)
        return _Writer(connection, project, table, class_ids, placement, recalled).store(run)


class _Writer:
    """One write transaction's work on one run."""

    def __init__(
        self,
        connection: Connection,
        project: ProjectView,
        table: FeatureTable,
        class_ids: NDArray[np.int64],
        placement: Placement,
        recalled: Recall,
    ) -> None:
        self.connection = connection
        self.project = project
        self.table = table
        self.class_ids = class_ids
        self.wkb = shapely.to_wkb(table.geometries, output_dimension=2)
        self.placement = placement
        self.recalled = recalled
        self.tile_ids = np.array(ensure_tiles(connection, project, placement.tiles), dtype=np.int64)
        self.prediction_ids = np.array(reserve_ids(connection, Prediction, len(table)), dtype=np.int64)
        self.feature_ids = self._feature_ids()
        self.left_tiles: set[int] = set()  # tiles that lost a feature

    def store(self, run: NewRun) -> StoredRun:
        model_id = self._model(run)
        run_id = self.connection.execute(
            insert(Run)
            .values(
                project_id=self.project.id,
                model_id=model_id,
                source=run.source,
                tiles=len(self.tile_ids),
                seconds=(utc_now() - run.started_at).total_seconds(),
                started_at=run.started_at,
            )
            .returning(Run.id)
        ).scalar_one()
        verdicts = np.full(len(self.table), None, dtype=object)
        verdicts[self.recalled.met] = self.recalled.known.verdicts[self.recalled.found[self.recalled.met]]
        self._insert_features()
        self._insert_predictions(run_id, verdicts)
        if len(self.table) >= MANY:
            refresh_statistics(self.connection, Tile, Feature, TileFeature, Prediction)
        held = self._held_features()
        updated, kept = self._update_features(verdicts, held)
        withdrawn = self._withdraw(model_id, held)
        refresh_uncertainty(self.connection, self.project.id, sorted({*self.tile_ids.tolist(), *self.left_tiles}))
        stored = StoredRun(
            run=run_id,
            imported=len(self.table),
            new=len(self.recalled.new),
            updated=updated,
            confirmed=int(np.isin(verdicts, ("accept", "correct", "add")).sum()),
            remembered_rejects=int((verdicts == "reject").sum()),
            unsure=int((verdicts == "unsure").sum()),
            held=kept,
            withdrawn=withdrawn,
            tiles=len(self.tile_ids),
            outside_imagery=self._outside_imagery(),
        )
        self.connection.execute(
            update(Run)
            .where(Run.id == run_id)
            .values(report={**run.report, "fingerprint": run.fingerprint, **asdict(stored)}, finished_at=utc_now())
        )
        return stored

    def _model(self, run: NewRun) -> int:
        found = self.connection.execute(
            select(Model.id).where(Model.project_id == self.project.id, Model.name == run.model)
        ).scalar()
        if found is not None:
            return found
        return self.connection.execute(
            insert(Model)
            .values(
                project_id=self.project.id,
                name=run.model,
                backend=run.backend,
                identifier=run.identifier,
                parameters=run.parameters,
            )
            .returning(Model.id)
        ).scalar_one()

    def _feature_ids(self) -> NDArray[np.int64]:
        """For each prediction the feature it stands for: a known one, or the id of a new one."""
        ids = np.empty(len(self.table), dtype=np.int64)
        met, new = self.recalled.met, self.recalled.new
        ids[met] = self.recalled.known.ids[self.recalled.found[met]]
        ids[new] = reserve_ids(self.connection, Feature, len(new))
        return ids

    def _insert_features(self) -> None:
        new = self.recalled.new
        count = len(new)
        insert_rows(
            self.connection,
            Feature,
            {
                "id": self.feature_ids[new],
                "project_id": [self.project.id] * count,
                "class_id": self.class_ids[new],
                "geometry": self.wkb[new],
                "prediction_id": self.prediction_ids[new],
                "withdrawn": [False] * count,
            },
        )
        self._keep_places(new)

    def _keep_places(self, chosen: NDArray[np.int64]) -> None:
        which = np.isin(self.placement.feature, chosen)
        tiles, features = self.placement.tile[which], self.placement.feature[which]
        keep_places(self.connection, self.tile_ids[tiles], self.feature_ids[features])

    def _insert_predictions(self, run_id: int, verdicts: NDArray[np.object_]) -> None:
        count = len(self.table)
        insert_rows(
            self.connection,
            Prediction,
            {
                "id": self.prediction_ids,
                "run_id": [run_id] * count,
                "feature_id": self.feature_ids,
                "class_id": self.class_ids,
                "geometry": self.wkb,
                "score": [None if isnan(score) else score for score in self.table.scores.tolist()],
                "source_row": self.table.rows,
                "properties": self.table.properties,
                "remembered": verdicts,
            },
        )

    def _held_features(self) -> set[int]:
        """Features on tiles that somebody is looking at: what they see must not change before they decide."""
        if not len(self.recalled.known):
            return set()
        return set(
            self.connection.execute(
                select(TileFeature.feature_id)
                .join(Claim, Claim.tile_id == TileFeature.tile_id)
                .join(Tile, Tile.id == Claim.tile_id)
                .where(Tile.project_id == self.project.id, Claim.expires_at > utc_now())
            ).scalars()
        )

    def _update_features(self, verdicts: NDArray[np.object_], held: set[int]) -> tuple[int, int]:
        """Undecided features show what this run predicts -> how many do, how many are held."""
        undecided = [index for index in self.recalled.met.tolist() if verdicts[index] is None]
        shown = [index for index in undecided if self.feature_ids[index] not in held]
        if not shown:
            return 0, len(undecided)
        update_rows(
            self.connection,
            Feature,
            self.feature_ids[shown],
            {
                "prediction_id": self.prediction_ids[shown],
                "geometry": self.wkb[shown],
                "withdrawn": [False] * len(shown),
            },
            while_empty="verdict",
        )
        moved = self._moved(np.array(shown))
        self.left_tiles |= drop_places(self.connection, self.feature_ids[moved].tolist())
        self._keep_places(moved)
        return len(shown), len(undecided) - len(shown)

    def _moved(self, shown: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the updated features whose outline is another now."""
        before = self.recalled.known.geometries[self.recalled.found[shown]]
        return shown[~shapely.equals_identical(before, self.table.geometries[shown])]

    def _withdraw(self, model_id: int, held: set[int]) -> int:
        """Stop showing what other models predicted on these tiles, nobody decided, and this run does not predict.

        The same model's other runs stay: a file may come in parts.
        """
        if not len(self.recalled.known):
            return 0
        tiles, matched = set(self.tile_ids.tolist()), set(self.feature_ids.tolist())
        touched = self.connection.execute(
            select(TileFeature.feature_id, TileFeature.tile_id)
            .join(Feature, Feature.id == TileFeature.feature_id)
            .join(Prediction, Prediction.id == Feature.prediction_id)
            .join(Run, Run.id == Prediction.run_id)
            .where(
                Feature.project_id == self.project.id,
                undecided(),
                Feature.class_id.in_(np.unique(self.class_ids).tolist()),
                Run.model_id != model_id,
            )
        ).all()
        gone = {row.feature_id for row in touched if row.tile_id in tiles} - matched - held
        self.left_tiles.update(row.tile_id for row in touched if row.feature_id in gone)
        update_rows(self.connection, Feature, sorted(gone), {"withdrawn": [True] * len(gone)}, while_empty="verdict")
        return len(gone)

    def _outside_imagery(self) -> int:
        bare = set(
            self.connection.execute(
                select(Tile.id).where(Tile.project_id == self.project.id, Tile.imagery_id.is_(None))
            ).scalars()
        )
        covered = np.array([each not in bare for each in self.tile_ids.tolist()], dtype=np.bool_)
        return len(self.table) - len(np.unique(self.placement.feature[covered[self.placement.tile]]))
