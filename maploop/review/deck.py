"""The deck: one tile with its features, as the review map shows it (DECK and FEATURE of docs/review-map.md)."""

from typing import Any

import orjson
import shapely
from sqlalchemy import Connection, RowMapping, bindparam, func, or_, select

from db.models import (
    Annotator,
    Decision,
    Feature,
    Imagery,
    Model,
    Prediction,
    Run,
    Tile,
    TileFeature,
)
from maploop.errors import NotFoundError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.predict.looked_at import models_that_looked
from maploop.project import ProjectView
from maploop.quality.audits import standing_decisions
from maploop.review.progress import progress_of

# Built once: for so small a query, building it takes longer than answering it.
_TILE = (
    select(Tile.__table__, Imagery.attribution, Imagery.info, Annotator.name.label("finisher"))
    .outerjoin(Imagery, Imagery.id == Tile.imagery_id)
    .outerjoin(Annotator, Annotator.id == Tile.finished_by)
    .where(Tile.id == bindparam("tile"))
)


def deck_of(
    connection: Connection,
    project: ProjectView,
    tile_id: int,
    annotator_id: int,
    *,
    drawn_by: str,
    was_held: bool = False,
    audit: int | None = None,
) -> dict[str, Any]:
    """DECK of a tile; with `audit`, blind: what models predicted, verdicts of that audit. Raises NotFoundError."""
    row = connection.execute(_TILE, {"tile": tile_id}).mappings().first()
    if row is None:
        msg = f"There is no tile {tile_id}."
        raise NotFoundError(msg)
    address = TileAddress(row["z"], row["x"], row["y"])
    imagery = None
    if row["imagery_id"] is not None:
        imagery = {
            "id": row["imagery_id"],
            "attribution": row["attribution"],
            "minZoom": row["info"].get("min_zoom"),
            "maxZoom": row["info"].get("max_zoom"),
            "share": row["pixel_share"],
        }
    return {
        "tile": {
            "address": str(address),
            "bounds": address.bounds,
            "status": row["status"],
            "comment": "" if audit else row["comment"],
            "drawnBy": drawn_by,
            "finishedBy": None if audit else row["finisher"],
            "coveredBy": models_that_looked(connection, tile_id),
            "blind": row["blind"],
        },
        "imagery": imagery,
        "features": features_of(connection, project, tile_id, audit=audit),
        "audit": None,
        "claim": {"seconds": project.settings.claim_seconds, "wasHeld": was_held},
        "progress": progress_of(connection, project.id, annotator_id),
    }


_ANY_ON_TILE = (
    select(
        Feature.id,
        Feature.class_id,
        Feature.geometry,
        Feature.verdict,
        Feature.decision_id,
        Feature.added_as,
        Feature.prediction_id,
        Prediction.score,
        Prediction.remembered,
        Prediction.properties,
        Prediction.geometry.label("predicted_geometry"),
        Prediction.class_id.label("predicted_class_id"),
        Model.name.label("model"),
        Decision.reason,
        Annotator.name.label("decided_by"),
    )
    .join(TileFeature, TileFeature.feature_id == Feature.id)
    .outerjoin(Prediction, Prediction.id == Feature.prediction_id)
    .outerjoin(Run, Run.id == Prediction.run_id)
    .outerjoin(Model, Model.id == Run.model_id)
    .outerjoin(Decision, Decision.id == Feature.decision_id)
    .outerjoin(Annotator, Annotator.id == Decision.annotator_id)
    .order_by(func.abs(func.coalesce(Prediction.score, 0.5) - 0.5), Feature.id)
    .where(TileFeature.tile_id == bindparam("tile"), Feature.withdrawn.is_(False))
)
# Withdrawn features and undone additions stay out.
_ON_TILE = _ANY_ON_TILE.where(or_(Feature.prediction_id.is_not(None), Feature.verdict.is_not(None)))


def features_of(
    connection: Connection,
    project: ProjectView,
    tile_id: int,
    *,
    audit: int | None = None,
    feature_id: int | None = None,
) -> list[dict[str, Any]]:
    """FEATUREs of a tile (or just one of them), most uncertain first. Withdrawn ones and undone additions stay out."""
    query = _ON_TILE if audit is None else _ANY_ON_TILE
    if feature_id is not None:
        query = query.where(Feature.id == feature_id)
    rows = connection.execute(query, {"tile": tile_id}).mappings().all()
    if audit is None:
        return [_feature(project, row) for row in rows]
    verdicts = standing_in_audit(connection, audit)
    return [
        _blind(project, row, verdicts.get(row["id"]))
        for row in rows
        if row["prediction_id"] is not None or row["id"] in verdicts
    ]


def standing_in_audit(connection: Connection, audit: int) -> dict[int, RowMapping]:
    """Feature id -> the audit's decision that stands."""
    rows = connection.execute(
        select(Decision.__table__).where(Decision.audit_id == audit).order_by(Decision.seq)
    ).mappings()
    return standing_decisions(rows)


def _geojson(geometry: Any) -> Any:
    return orjson.Fragment(shapely.to_geojson(geometry))


def _predicted(project: ProjectView, row: RowMapping) -> dict[str, Any] | None:
    if row["predicted_geometry"] is None:
        return None
    return {
        "class": project.class_with_id(row["predicted_class_id"]).name,
        "geometry": _geojson(row["predicted_geometry"]),
    }


def _feature(project: ProjectView, row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["added_as"] or row["id"],
        "class": project.class_with_id(row["class_id"]).name,
        "geometry": _geojson(row["geometry"]),
        "score": row["score"],
        "verdict": row["verdict"],
        "reason": row["reason"],
        "standing": row["decision_id"],
        "decidedBy": row["decided_by"],
        "remembered": row["remembered"],
        "model": row["model"],
        "properties": row["properties"] or {},
        "predicted": _predicted(project, row),
    }


def _blind(project: ProjectView, row: RowMapping, decision: RowMapping | None) -> dict[str, Any]:
    """A feature as the model gave it, with nothing of what the annotator said."""
    shown = decision or {"class_id": row["predicted_class_id"], "geometry": row["predicted_geometry"]}
    return {
        "id": row["added_as"] or row["id"],
        "class": project.class_with_id(shown["class_id"]).name,
        "geometry": _geojson(shown["geometry"]),
        "score": row["score"],
        "verdict": decision["verdict"] if decision else None,
        "reason": decision["reason"] if decision else None,
        "standing": decision["id"] if decision else None,
        "decidedBy": None,
        "remembered": None,
        "model": row["model"],
        "properties": row["properties"] or {},
        "predicted": _predicted(project, row),
    }
