"""Taking back a file of known truth: each of its decisions that still stands is undone, by a later decision."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, LargeBinary, func, select, type_coerce

from db.bulk import in_lists
from db.models import Decision, Feature, Import, ImportFeature, ImportTile, Prediction, Tile, TileEvent
from maploop.predict.memory import features_with_ids
from maploop.predict.placing import drop_places, places_of
from maploop.predict.uncertainty import refresh_uncertainty
from maploop.predict.undo_predictions import place_anew
from maploop.predict.withdrawal import settle_withdrawn
from maploop.project import ProjectView
from maploop.review.bulk import move_features, new_ids, record_decisions
from maploop.review.reopen import finished_among, reopen_tiles
from maploop.vectors.geometry import as_geometries

TAKEN_BACK = "An import was taken back."
_GONE = select(Import.id).where(Import.undone_at.is_not(None))


@dataclass
class TruthUndone:
    """Counts of truth that was taken back; `tile_ids`: tiles that look different now.

    removed     annotations that the file had added
    reverted    features that stand again as they did before the file decided them
    kept        features of the file on which people, or other files, have decided since, or which others hold too
    reopened    tiles that are open again
    """

    removed: int = 0
    reverted: int = 0
    kept: int = 0
    reopened: int = 0
    tile_ids: set[int] = field(default_factory=set)


def undo_truth(connection: Connection, project: ProjectView, import_id: int, annotator_id: int) -> TruthUndone:
    """Take back what an import of truth decided; needs a write transaction, and the import on record as undone."""
    undone = TruthUndone()
    standing = _standing(connection, import_id)
    made = select(func.count(Decision.feature_id.distinct())).where(
        Decision.import_id == import_id, Decision.undoes.is_(None)
    )
    undone.kept = connection.execute(made).scalar_one() - sum(row.import_id == import_id for row in standing)
    targets = _targets(connection, standing)
    _undo_decisions(connection, project, import_id, annotator_id, standing, targets, undone)
    reopened = _to_reopen(connection, import_id, undone.tile_ids)
    undone.reopened = len(reopened)
    reopen_tiles(
        connection, reopened, annotator_id, TAKEN_BACK, drawn_by="import", import_id=import_id, forget_finisher=True
    )
    refresh_uncertainty(connection, project.id, sorted(undone.tile_ids))
    return undone


def _standing(connection: Connection, import_id: int) -> list[Any]:
    """The import's decisions that still stand, but for annotations that another standing import holds too.

    With them those of imports taken back before, which stood on only because this import holds their annotations.
    """
    mine = select(ImportFeature.feature_id).where(ImportFeature.import_id == import_id)
    vouched = (
        select(ImportFeature.feature_id)
        .join(Import, Import.id == ImportFeature.import_id)
        .where(Import.id != import_id, Import.undone_at.is_(None))
    )
    return list(
        connection.execute(
            select(Decision.id, Decision.feature_id, Decision.tile_id, Decision.previous_id, Decision.import_id)
            .join(Feature, Feature.decision_id == Decision.id)
            .where(
                (Decision.import_id == import_id) | (Decision.import_id.in_(_GONE) & Feature.id.in_(mine)),
                Decision.undoes.is_(None),
                Feature.id.not_in(vouched),
            )
            .order_by(Decision.feature_id)
        )
    )


def _targets(connection: Connection, standing: Sequence[Any]) -> dict[int, str | None]:
    """Feature -> the decision to return to: the last one before that is not itself of an import taken back."""
    targets: dict[int, str | None] = {row.feature_id: row.previous_id for row in standing}
    looked_at: set[str] = set()
    while wanted := sorted({each for each in targets.values() if each is not None} - looked_at):
        looked_at.update(wanted)
        gone: dict[str, str | None] = {}
        for ids in in_lists(wanted):
            gone.update(
                connection.execute(
                    select(Decision.id, Decision.previous_id)
                    .join(Import, Import.id == Decision.import_id)
                    .where(Decision.id.in_(ids), Import.undone_at.is_not(None))
                ).all()
            )
        targets = {key: gone.get(each, each) if each is not None else None for key, each in targets.items()}
    return targets


def _undo_decisions(
    connection: Connection,
    project: ProjectView,
    import_id: int,
    annotator_id: int,
    standing: Sequence[Any],
    targets: dict[int, str | None],
    undone: TruthUndone,
) -> None:
    ids = [row.feature_id for row in standing]
    before = features_with_ids(connection, ids)
    undone.tile_ids |= places_of(connection, ids)
    earlier = _decisions(connection, [each for each in targets.values() if each is not None])
    said = _predictions(connection, before.prediction_ids[before.prediction_ids != 0].tolist())
    verdicts: list[str | None] = []
    classes, outlines, to_decision = [], [], []
    for index, feature_id in enumerate(before.ids.tolist()):
        target = targets[feature_id]
        prediction = said.get(int(before.prediction_ids[index]))
        if target is not None:
            row = earlier[target]
            verdicts.append(row.verdict)
        elif prediction is not None:
            row = prediction
            verdicts.append(None)
        else:
            row = None
            verdicts.append(None)
        classes.append(int(before.class_ids[index]) if row is None else row.class_id)
        outlines.append(shapely.to_wkb(before.geometries[index]) if row is None else row.geometry)
        to_decision.append(target)
    shapes = np.array(outlines, dtype=object)
    class_ids = np.array(classes, dtype=np.int64)
    record_decisions(
        connection,
        project.id,
        annotator_id,
        new_ids(len(standing)),
        before.ids,
        np.array([row.tile_id for row in standing], dtype=np.int64),
        ["undo"] * len(standing),
        class_ids,
        shapes,
        before,
        import_id=import_id,
        undoes=[row.id for row in standing],
        previous=to_decision,
    )
    move_features(connection, before.ids, verdicts, class_ids, shapes, to_decision)
    added = [
        feature_id
        for feature_id, verdict, prediction in zip(
            before.ids.tolist(), verdicts, before.prediction_ids.tolist(), strict=True
        )
        if verdict is None and not prediction
    ]
    undone.removed = len(added)
    undone.reverted = len(standing) - len(added)
    drop_places(connection, added)
    moved = ~shapely.equals_identical(before.geometries, shapely.from_wkb(shapes)) & ~np.isin(before.ids, added)
    undone.tile_ids |= place_anew(
        connection, project, before.ids[moved].tolist(), as_geometries(shapely.from_wkb(shapes[moved]))
    )
    settle_withdrawn(connection, before.ids[moved].tolist())


def _decisions(connection: Connection, ids: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for some in in_lists(ids):
        for row in connection.execute(
            select(
                Decision.id,
                Decision.verdict,
                Decision.class_id,
                type_coerce(Decision.geometry, LargeBinary).label("geometry"),
            ).where(Decision.id.in_(some))
        ):
            found[row.id] = row
    return found


def _predictions(connection: Connection, ids: Sequence[int]) -> dict[int, Any]:
    """Select predictions by id, with class and outline (WKB, EPSG:4326)."""
    found: dict[int, Any] = {}
    for some in in_lists(ids):
        for row in connection.execute(
            select(
                Prediction.id,
                Prediction.class_id,
                type_coerce(Prediction.geometry, LargeBinary).label("geometry"),
            ).where(Prediction.id.in_(some))
        ):
            found[row.id] = row
    return found


def _to_reopen(connection: Connection, import_id: int, changed: Collection[int]) -> list[int]:
    """Finished tiles that lost features, or that were finished by this import and that no other one covers."""
    last = (
        select(TileEvent.tile_id, func.max(TileEvent.seq).label("seq"))
        .where(TileEvent.act == "complete")
        .group_by(TileEvent.tile_id)
        .subquery()
    )
    covered = (
        select(ImportTile.tile_id)
        .join(Import, Import.id == ImportTile.import_id)
        .where(Import.kind == "annotations", Import.undone_at.is_(None))
    )
    mine = select(ImportTile.tile_id).where(ImportTile.import_id == import_id)
    finished = Tile.status.in_(("complete", "approved"))
    by_import = (
        select(Tile.id)
        .join(last, last.c.tile_id == Tile.id)
        .join(TileEvent, TileEvent.seq == last.c.seq)
        .where(
            (TileEvent.import_id == import_id) | (TileEvent.import_id.in_(_GONE) & Tile.id.in_(mine)),
            finished,
            Tile.id.not_in(covered),
        )
    )
    found = set(connection.execute(by_import).scalars())
    return sorted(found.union(finished_among(connection, changed)))
