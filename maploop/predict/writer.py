"""Writing predictions into a project: the features they stand for, what they replace, all in one transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from db.bulk import MANY, in_lists, insert_rows, refresh_statistics, reserve_ids, update_rows
from db.conditions import below_cut, undecided
from db.models import Claim, Feature, Prediction, Run, Tile, TileFeature
from db.records import record_predictions
from db.types import utc_now
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.imagery.tilemath import tile_indices
from maploop.imagery.tiles import ensure_tiles
from maploop.predict.blind import hold_out
from maploop.predict.memory import Recall
from maploop.predict.placing import Placement, drop_places, keep_places, places_of
from maploop.predict.uncertainty import refresh_uncertainty
from maploop.predict.withdrawal import withdraw
from maploop.project import ProjectView
from maploop.vectors.features import FeatureTable


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
    blind               undecided features that reach onto blind test tiles: held out of review, kept for evaluation
    below_cut           undecided features below the score that the current model was promoted with: not shown
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
    blind: int = 0
    below_cut: int = 0


@dataclass(frozen=True)
class Covered:
    """Ground that a model has looked at: whole tiles, for some classes (ids). What it does not find there goes."""

    tiles: Sequence[TileAddress]
    class_ids: Collection[int]


class PredictionWriter:
    """One write transaction's work on predictions of one run."""

    def __init__(
        self,
        connection: Connection,
        project: ProjectView,
        table: FeatureTable,
        class_ids: NDArray[np.int64],
        placement: Placement,
        recalled: Recall,
        import_id: int | None = None,
    ) -> None:
        self.connection = connection
        self.project = project
        self.table = table
        self.class_ids = class_ids
        self.wkb = shapely.to_wkb(table.geometries, output_dimension=2)
        self.placement = placement
        self.recalled = recalled
        self.tile_ids = np.array(
            ensure_tiles(connection, project, placement.tiles, import_id=import_id), dtype=np.int64
        )
        self.prediction_ids = np.array(reserve_ids(connection, Prediction, len(table)), dtype=np.int64)
        self.feature_ids = self._feature_ids()
        self.left_tiles: set[int] = set()  # tiles that lost a feature

    def store(self, run_id: int, model_id: int, covered: Covered | None = None) -> StoredRun:
        """Store the predictions; the run may have more of them, stored before and after.

        On `covered` ground, what anybody predicted there and this run does not find is withdrawn. Without it, that goes
        for what other models predicted on the tiles that these predictions touch.
        """
        verdicts = np.full(len(self.table), None, dtype=object)
        verdicts[self.recalled.met] = self.recalled.known.verdicts[self.recalled.found[self.recalled.met]]
        self._insert_features()
        self._insert_predictions(run_id, verdicts)
        if len(self.table) >= MANY:
            refresh_statistics(self.connection, Tile, Feature, TileFeature, Prediction)
        held = self._held_features()
        updated, kept = self._update_features(verdicts, held)
        withdrawn = self._withdraw(run_id, model_id, held) if covered is None else self._clear(covered, run_id, held)
        blind = hold_out(self.connection, set(self.feature_ids.tolist()))
        low = withdraw(self.connection, set(self.feature_ids.tolist()), below_cut())
        tiles = sorted({*self.tile_ids.tolist(), *self.left_tiles})
        refresh_uncertainty(self.connection, self.project.id, tiles, run_id)
        if len(self.table):
            first, last = int(self.prediction_ids[0]), int(self.prediction_ids[-1])
            record_predictions(self.connection, self.project.id, run_id, first, last)
        return StoredRun(
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
            blind=blind,
            below_cut=len(low),
        )

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
                "withdrawn_by": [None] * len(shown),
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

    def _withdraw(self, run_id: int, model_id: int, held: set[int]) -> int:
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
        self._take_off(sorted(gone), run_id)
        return len(gone)

    def _clear(self, covered: Covered, run_id: int, held: set[int]) -> int:
        """Stop showing what was predicted on covered ground, nobody decided, and this run does not find there.

        A feature is on the ground of one tile, the one with its middle: on its other tiles it is for that one to say.
        """
        known = self.recalled.known
        asks = ~known.withdrawn & (known.prediction_ids != 0) & np.isin(known.class_ids, sorted(covered.class_ids))
        asks &= np.array([verdict is None for verdict in known.verdicts], dtype=np.bool_)
        asks[self.recalled.found[self.recalled.met]] = False
        asks &= ~np.isin(known.ids, sorted(held))
        candidates = np.flatnonzero(asks)
        middles = shapely.centroid(known.geometries[candidates])
        columns, rows = tile_indices(shapely.get_x(middles), shapely.get_y(middles), self.project.zoom)
        ground = {(tile.x, tile.y) for tile in covered.tiles}
        inside = [place in ground for place in zip(columns.tolist(), rows.tolist(), strict=True)]
        candidates = candidates[np.array(inside, dtype=np.bool_)]
        own = self._of_run(run_id, known.prediction_ids[candidates].tolist())
        gone = known.ids[candidates[~np.isin(known.prediction_ids[candidates], sorted(own))]]
        self.left_tiles |= places_of(self.connection, gone.tolist())
        self._take_off(gone.tolist(), run_id)
        return len(gone)

    def _take_off(self, feature_ids: Sequence[int], run_id: int) -> None:
        """Do not show features any more, as the run does not find them."""
        count = len(feature_ids)
        update_rows(
            self.connection,
            Feature,
            feature_ids,
            {"withdrawn": [True] * count, "withdrawn_by": [run_id] * count},
            while_empty="verdict",
        )

    def _of_run(self, run_id: int, prediction_ids: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for ids in in_lists(prediction_ids):
            found.update(
                self.connection.execute(
                    select(Prediction.id).where(Prediction.run_id == run_id, Prediction.id.in_(ids))
                ).scalars()
            )
        return found

    def _outside_imagery(self) -> int:
        bare = set(
            self.connection.execute(
                select(Tile.id).where(Tile.project_id == self.project.id, Tile.imagery_id.is_(None))
            ).scalars()
        )
        covered = np.array([each not in bare for each in self.tile_ids.tolist()], dtype=np.bool_)
        return len(self.table) - len(np.unique(self.placement.feature[covered[self.placement.tile]]))
