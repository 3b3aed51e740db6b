"""Known truth from a file: annotations somebody made elsewhere, as decisions of the person who imports them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, select

from db.bulk import MANY, insert_rows, lock_project, refresh_statistics, reserve_ids, update_rows
from db.conditions import undecided
from db.models import Annotator, Claim, Feature, Tile, TileEvent, TileFeature
from db.types import stored_now, utc_now
from maploop.database import Database
from maploop.errors import ClaimError
from maploop.imagery.tilemath import tile_indices
from maploop.imagery.tiles import ensure_tiles, on_imagery
from maploop.import_records import cover_tiles, keep_report, public_name, record_import, vouch_for
from maploop.predict.intake import Choice, as_json, read_file
from maploop.predict.memory import Recall, features_with_ids, known_features, recall, recall_since
from maploop.predict.placing import Placement, drop_places, keep_places, place
from maploop.predict.store import Progress
from maploop.predict.uncertainty import refresh_uncertainty
from maploop.predict.whereabouts import check_on_imagery
from maploop.project import ProjectView, annotator_id
from maploop.review.bulk import last_decision, move_features, new_ids, record_decisions
from maploop.review.progress import FINISHED
from maploop.review.reopen import finished_among, reopen_tiles
from maploop.review.truth_ground import Basis, CoveredGround, covered_ground
from maploop.vectors.features import FeatureTable
from maploop.vectors.geometry import Geometries

SAME_DEGREES = 1e-8  # about a millimetre: what formats round away
_ANNOTATIONS = ("accept", "correct", "add")


@dataclass(frozen=True)
class StoredTruth:
    """What became of known truth.

    added               nothing there stood for it: new annotations
    accepted, corrected decided what had been predicted, as it was or with the outline of the file
    already             stand for annotations that people made: theirs stay
    rejected            undecided predictions of the file's classes, their middle on covered ground, not in the file
    completed           tiles that became complete, `empty` of them without any feature of the file
    reopened            finished tiles that the file does not cover and whose annotations it changed: open again
    left_open           tiles with features of the file that did not: `at_rim` of them as the file may cover a part of
                        them only (`rim_without_imagery` of these cannot be reviewed either), the others as they hold
                        undecided features of other classes, or with their middle off the covered ground
    outside_imagery     features on no tile with imagery
    basis               what says which tiles are covered: see `truth_ground.CoveredGround`
    """

    imported: int
    added: int
    accepted: int
    corrected: int
    already: int
    rejected: int
    tiles: int
    completed: int
    empty: int
    reopened: int
    left_open: int
    at_rim: int
    rim_without_imagery: int
    outside_imagery: int
    basis: Basis


def import_annotations(
    database: Database,
    project: ProjectView,
    path: Path | str,
    *,
    annotator: str,
    class_name: str | None = None,
    class_field: str | None = None,
    source_crs: str | None = None,
    layer: str | None = None,
    area: BaseGeometry | None = None,
    complete_all: bool = False,
    outside_imagery: bool = False,
    apart: bool = False,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:
    """Import a file of known truth -> the `import` answer of the CLI; all rows that fit, or nothing.

    The tiles that it covers wholly become complete: those within `area` (EPSG:4326), else those whose pictures it
    lists, else those that `truth_ground` finds, with `complete_all` also empty ones within its bounds. What is
    undecided there and not in the file is rejected. `apart`: the file is read in a process of its own.

    Raises VectorError, InputError, also when the project has imagery and the whole file lies outside of it, unless it
    may (`outside_imagery`), and ClaimError when somebody else is at work on one of the tiles.
    """
    progress("Reading")
    choice = Choice(class_name=class_name, class_field=class_field, source_crs=source_crs, layer=layer)
    table, report = read_file(Path(path), project, choice, may_be_empty=True, apart=apart, progress=progress)
    class_ids = np.array([project.class_named(name).id for name in table.class_names], dtype=np.int64)
    placement = place(table.geometries, project.zoom)
    progress("Comparing with what is known")
    with database.read() as connection:
        if not outside_imagery:
            check_on_imagery(connection, project, table.geometries, placement, Path(path))
        ground = covered_ground(
            connection,
            project,
            table.geometries,
            placement,
            area=area,
            looked_at=report.looked_at,
            fill_extent=complete_all,
        )
        known = known_features(connection, project, placement.tiles)
    recalled = recall(table.geometries, class_ids, known, project)
    progress("Writing")
    with database.write() as connection:
        lock_project(connection, project.id)
        recalled = recall_since(connection, project, placement.tiles, table.geometries, class_ids, recalled)
        person = annotator_id(connection, annotator)
        import_id = record_import(connection, project, "annotations", str(path), annotator, area=area)
        source = public_name(str(path))
        writer = _Writer(
            connection, project, person, annotator, import_id, source, table, class_ids, placement, recalled
        )
        stored = writer.store(ground)
        return keep_report(
            connection,
            import_id,
            {**as_json(report, stored.imported), **asdict(stored), "advice": _advice(stored)},
        )


def _advice(stored: StoredTruth) -> str:
    """Advise on tiles at the rim; empty when there are none."""
    if not stored.at_rim:
        return ""
    tiles = "1 tile was" if stored.at_rim == 1 else f"{stored.at_rim:,} tiles were"
    if stored.rim_without_imagery:
        tiles += f" left open ({stored.rim_without_imagery:,} without imagery)"
    else:
        tiles += " left open"
    if stored.basis == "extent":
        return (
            f"{tiles}, as the file may cover them in part only: import it again with the area in which it is complete "
            "(--area FILE), or review them."
        )
    ground = {"area": "the area", "images": "the pictures it lists", "project_area": "the project's area"}
    return f"{tiles}, as they do not lie wholly within {ground[stored.basis]}: review them."


class _Writer:
    """One write transaction's work on one file of truth."""

    def __init__(
        self,
        connection: Connection,
        project: ProjectView,
        annotator: int,
        name: str,
        import_id: int,
        source: str,
        table: FeatureTable,
        class_ids: NDArray[np.int64],
        placement: Placement,
        recalled: Recall,
    ) -> None:
        self.connection = connection
        self.project = project
        self.annotator = annotator
        self.name = name
        self.import_id = import_id
        self.source = source
        self.table = table
        self.class_ids = class_ids
        self.wkb = shapely.to_wkb(table.geometries, output_dimension=2)
        self.placement = placement
        self.known = recalled.known
        self.found = recalled.found
        self.new = recalled.new
        self.met = recalled.met
        self.tile_ids = np.array(
            ensure_tiles(connection, project, placement.tiles, import_id=import_id), dtype=np.int64
        )
        first = np.unique(placement.feature, return_index=True)[1]
        self.decided_on = self.tile_ids[placement.tile[first]]  # a tile for each feature
        self.left_tiles: set[int] = set()  # tiles that may have lost something undecided

    def store(self, ground: CoveredGround) -> StoredTruth:
        covered = set(ensure_tiles(self.connection, self.project, ground.tiles, import_id=self.import_id))
        touched = set(self.tile_ids.tolist())
        self._refuse_held(covered | touched)
        verdicts = self.known.verdicts[self.found[self.met]]
        annotated = np.isin(verdicts, _ANNOTATIONS)
        self._add(self.new)
        if len(self.new) >= MANY:
            refresh_statistics(self.connection, Tile, Feature, TileFeature)
        deciding = self.met[~annotated]
        accepted = self._decide(deciding)
        moved_off = set(self.left_tiles)
        vouch_for(self.connection, self.import_id, self.known.ids[self.found[self.met[annotated]]].tolist())
        rejected, busy = self._reject(covered, ground)
        moved = np.isin(self.placement.feature, np.concatenate([self.new, deciding]))
        changed = set(self.tile_ids[self.placement.tile[moved]].tolist()) | moved_off
        completed = self._complete(covered - busy, changed)
        reopened = self._reopen(changed - (covered - busy))
        cover_tiles(self.connection, self.import_id, covered - busy)
        refresh_uncertainty(self.connection, self.project.id, sorted(covered | touched | self.left_tiles))
        imaged = on_imagery(self.connection, self.project, self.placement.tiles)
        return StoredTruth(
            imported=len(self.table),
            added=len(self.new),
            accepted=accepted,
            corrected=len(deciding) - accepted,
            already=int(annotated.sum()),
            rejected=rejected,
            tiles=len(covered | touched),
            completed=len(completed),
            empty=len(completed - touched),
            reopened=reopened,
            left_open=len(touched - covered) + len(busy),
            at_rim=len(touched - covered),
            rim_without_imagery=len(set(self.tile_ids[~imaged].tolist()) - covered),
            outside_imagery=len(self.table) - len(np.unique(self.placement.feature[imaged[self.placement.tile]])),
            basis=ground.basis,
        )

    def _refuse_held(self, tiles: set[int]) -> None:
        rows = self.connection.execute(
            select(Tile.id, Tile.z, Tile.x, Tile.y, Annotator.name)
            .join(Claim, Claim.tile_id == Tile.id)
            .join(Annotator, Annotator.id == Claim.annotator_id)
            .where(
                Tile.project_id == self.project.id, Claim.expires_at > utc_now(), Claim.annotator_id != self.annotator
            )
            .order_by(Tile.id)
        )
        held = [f"{row.z}/{row.x}/{row.y} by {row.name}" for row in rows if row.id in tiles]
        if held:
            more = f" and {len(held) - 3} more" if len(held) > 3 else ""
            msg = f"Somebody is at work on these tiles: {', '.join(held[:3])}{more}: import when they are done."
            raise ClaimError(msg)

    def _add(self, new: NDArray[np.int64]) -> None:
        """What nobody had predicted or drawn: new features, each with its decision."""
        ids = np.array(reserve_ids(self.connection, Feature, len(new)), dtype=np.int64)
        decisions = new_ids(len(new))
        insert_rows(
            self.connection,
            Feature,
            {
                "id": ids,
                "project_id": [self.project.id] * len(new),
                "class_id": self.class_ids[new],
                "geometry": self.wkb[new],
                "verdict": ["add"] * len(new),
                "decision_id": decisions,
                "added_as": decisions,
                "withdrawn": [False] * len(new),
            },
        )
        self._keep_places(new, ids)
        self._record(decisions, ids, self.decided_on[new], ["add"] * len(new), self.class_ids[new], self.wkb[new])

    def _decide(self, deciding: NDArray[np.int64]) -> int:
        """Accept or correct what was predicted, unsure or rejected before -> how many were right as they were."""
        before = self.known.only(self.found[deciding])
        same = _same(before.geometries, self.table.geometries[deciding])
        same &= (before.class_ids == self.class_ids[deciding]) & (before.prediction_ids != 0)
        outlines: NDArray[Any] = self.wkb[deciding]
        outlines[same] = shapely.to_wkb(before.geometries[same])
        verdicts = np.where(same, "accept", "correct").tolist()
        classes, decisions = self.class_ids[deciding], new_ids(len(deciding))
        self._record(decisions, before.ids, self.decided_on[deciding], verdicts, classes, outlines, before)
        move_features(self.connection, before.ids, verdicts, classes, outlines, decisions)
        self.left_tiles |= drop_places(self.connection, before.ids[~same].tolist())
        self._keep_places(deciding[~same], before.ids[~same])
        return int(same.sum())

    def _reject(self, tiles: set[int], ground: CoveredGround) -> tuple[int, set[int]]:
        """Reject what is undecided on the tiles and of the file's classes -> how many; tiles with others undecided.

        A feature with its middle off the covered ground is not for the file to reject: it stays undecided.
        """
        classes = set(self.class_ids.tolist())
        rows = self.connection.execute(
            select(TileFeature.feature_id, TileFeature.tile_id, Feature.class_id)
            .join(Feature, Feature.id == TileFeature.feature_id)
            .where(
                Feature.project_id == self.project.id,
                undecided(),
            )
            .order_by(TileFeature.feature_id, TileFeature.tile_id)
        ).all()
        here = [row for row in rows if row.tile_id in tiles]
        busy = {row.tile_id for row in here if row.class_id not in classes}
        wrong = {row.feature_id: row.tile_id for row in reversed(here) if row.class_id in classes}
        before = features_with_ids(self.connection, list(wrong))
        middles = shapely.centroid(before.geometries)
        columns, lines = tile_indices(shapely.get_x(middles), shapely.get_y(middles), self.project.zoom)
        places = {(tile.x, tile.y) for tile in ground.tiles}
        within = [place in places for place in zip(columns.tolist(), lines.tolist(), strict=True)]
        before = before.only(np.array(within, dtype=np.bool_))
        wrong = {each: wrong[each] for each in before.ids.tolist()}
        busy |= {row.tile_id for row in here if row.feature_id not in wrong}
        self.left_tiles.update(row.tile_id for row in rows if row.feature_id in wrong)
        verdicts, decisions = ["reject"] * len(before), new_ids(len(before))
        outlines: NDArray[Any] = shapely.to_wkb(before.geometries)
        on = np.array([wrong[each] for each in before.ids.tolist()], dtype=np.int64)
        self._record(decisions, before.ids, on, verdicts, before.class_ids, outlines, before, reason="not_there")
        move_features(self.connection, before.ids, verdicts, before.class_ids, outlines, decisions)
        return len(before), busy

    def _record(self, decisions: list[str], features: NDArray[np.int64], *columns: Any, **more: Any) -> None:
        more["import_id"] = self.import_id
        record_decisions(self.connection, self.project.id, self.annotator, decisions, features, *columns, **more)

    def _keep_places(self, chosen: NDArray[np.int64], feature_ids: NDArray[np.int64]) -> None:
        """Say which tiles the chosen features of the file touch; `feature_ids` are their rows' ids."""
        row = np.full(len(self.table), -1, dtype=np.int64)
        row[chosen] = feature_ids
        which = row[self.placement.feature] != -1
        keep_places(self.connection, self.tile_ids[self.placement.tile[which]], row[self.placement.feature[which]])

    def _complete(self, tiles: set[int], changed: set[int]) -> set[int]:
        """Make tiles complete, finished ones only when they changed -> those that were not complete before.

        One that was complete and changed is the importer's now: they answer for what the file says of it.
        """
        rows = self.connection.execute(select(Tile.id, Tile.status).where(Tile.project_id == self.project.id)).all()
        finished = [row.id for row in rows if row.id in tiles and (row.status not in FINISHED or row.id in changed)]
        if not finished:
            return set()
        now = stored_now()
        insert_rows(
            self.connection,
            TileEvent,
            {
                "seq": reserve_ids(self.connection, TileEvent, len(finished)),
                "id": new_ids(len(finished)),
                "tile_id": finished,
                "annotator_id": [self.annotator] * len(finished),
                "act": ["complete"] * len(finished),
                "comment": [""] * len(finished),
                "seconds": [0.0] * len(finished),
                "drawn_by": ["import"] * len(finished),
                "import_id": [self.import_id] * len(finished),
                "stored_at": [now] * len(finished),
                "after_decision": [last_decision(self.connection)] * len(finished),
            },
        )
        count = len(finished)
        update_rows(
            self.connection,
            Tile,
            finished,
            {
                "status": ["complete"] * count,
                "finished_by": [self.annotator] * count,
                "finished_at": [now] * count,
                "comment": [""] * count,
            },
        )
        return {row.id for row in rows if row.status != "complete"}.intersection(finished)

    def _reopen(self, changed: set[int]) -> int:
        """Open finished tiles again that the file changed and does not cover -> how many."""
        finished = finished_among(self.connection, changed)
        comment = (
            f"Known truth from {self.source}, imported by {self.name}, changed features that reach onto this tile: "
            "look again, and finish it anew."
        )
        reopen_tiles(self.connection, finished, self.annotator, comment, drawn_by="import", import_id=self.import_id)
        return len(finished)


def _same(a: Geometries, b: Geometries) -> NDArray[np.bool_]:
    """Which pairs are the same outline, wherever it starts, up to what formats round away."""
    return shapely.equals_exact(shapely.normalize(a), shapely.normalize(b), tolerance=SAME_DEGREES)
