"""Many decisions of one person at once: truth that comes from a file, rules that accept unseen."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from db.bulk import in_lists, insert_rows, reserve_ids, update_rows
from db.models import Decision, Feature, Prediction, Run
from db.types import stored_now
from maploop.predict.memory import Known
from maploop.predict.withdrawal import settle_withdrawn


def new_ids(count: int) -> list[str]:
    """Random UUIDs (version 4), as browsers make them for decisions and acts."""
    source = random.SystemRandom()
    return [str(UUID(int=source.getrandbits(128), version=4)) for _ in range(count)]


def last_decision(connection: Connection) -> int | None:
    """The decision stored last, by `seq`: what acts on tiles that are stored in bulk note as `after_decision`."""
    return connection.execute(select(func.max(Decision.seq))).scalar()


def record_decisions(
    connection: Connection,
    project_id: int,
    annotator_id: int,
    ids: Sequence[str],
    feature_ids: NDArray[np.int64],
    tile_ids: NDArray[np.int64],
    verdicts: Sequence[str],
    class_ids: NDArray[np.int64],
    outlines: NDArray[Any],
    before: Known | None = None,
    *,
    reason: str | None = None,
    rule_id: int | None = None,
    import_id: int | None = None,
    undoes: Sequence[str] | None = None,
    previous: Sequence[str | None] | None = None,
) -> None:
    """Store decisions that took no time, given as parallel columns; outlines are WKB in EPSG:4326.

    `before`: the features as they were, in the same order; None when they are new. `undoes`: the decisions taken back,
    `previous` those that stood before them; without it, nobody had decided before.
    """
    count = len(ids)
    if not count:
        return
    nothing = [None] * count
    now = stored_now()
    shown = nothing if before is None else [each or None for each in before.prediction_ids.tolist()]
    models = _models_of(connection, [each for each in shown if each is not None])
    insert_rows(
        connection,
        Decision,
        {
            "seq": reserve_ids(connection, Decision, count),
            "id": ids,
            "project_id": [project_id] * count,
            "tile_id": tile_ids,
            "feature_id": feature_ids,
            "prediction_id": shown,
            "model_id": [None if each is None else models[each] for each in shown],
            "annotator_id": [annotator_id] * count,
            "verdict": verdicts,
            "reason": [reason] * count,
            "rule_id": [rule_id] * count,
            "import_id": [import_id] * count,
            "class_before_id": nothing if before is None else before.class_ids,
            "class_id": class_ids,
            "geometry_before": nothing if before is None else shapely.to_wkb(before.geometries),
            "geometry": outlines,
            "seconds": [0.0] * count,
            "undoes": nothing if undoes is None else undoes,
            "previous_id": _previous(count, before, undoes, previous),
            "made_at": [now] * count,
            "stored_at": [now] * count,
        },
    )


def _previous(
    count: int, before: Known | None, undoes: Sequence[str] | None, previous: Sequence[str | None] | None
) -> Sequence[str | None] | NDArray[np.object_]:
    if previous is not None:
        return previous
    return [None] * count if before is None or undoes is not None else before.decision_ids


def move_features(
    connection: Connection,
    feature_ids: NDArray[np.int64],
    verdicts: Sequence[str | None],
    class_ids: NDArray[np.int64],
    outlines: NDArray[Any],
    decision_ids: Sequence[str | None],
) -> None:
    """Leave features as decisions say: parallel columns, outlines as WKB. Their tiles are the caller's business.

    Features that are undecided again are shown, or not, as `settle_withdrawn` says.
    """
    update_rows(
        connection,
        Feature,
        feature_ids,
        {
            "verdict": verdicts,
            "class_id": class_ids,
            "geometry": outlines,
            "decision_id": decision_ids,
            "withdrawn": [False] * len(decision_ids),
        },
    )
    undone = [each for each, verdict in zip(feature_ids.tolist(), verdicts, strict=True) if verdict is None]
    settle_withdrawn(connection, undone)


def _models_of(connection: Connection, prediction_ids: Sequence[int]) -> dict[int, int]:
    """Prediction id -> id of the model that made it."""
    models: dict[int, int] = {}
    query = select(Prediction.id, Run.model_id).join(Run, Run.id == Prediction.run_id)
    for ids in in_lists(prediction_ids):
        models.update(connection.execute(query.where(Prediction.id.in_(ids))).all())
    return models
