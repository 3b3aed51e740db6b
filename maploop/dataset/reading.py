"""Freezing: the truth of the chosen tiles, read in one consistent view of the database."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, LargeBinary, Row, select, type_coerce

from db.models import Annotator, Decision, Feature, Imagery, Prediction, Tile, TileFeature
from maploop.contract import contract_of
from maploop.dataset.selection import ANNOTATED, Scope, chosen, why_nothing
from maploop.dataset.snapshot import (
    NOBODY,
    FeatureColumns,
    Indices,
    Placements,
    Snapshot,
    SnapshotClass,
    SnapshotImagery,
    TileColumns,
)
from maploop.errors import ConflictError, ImageryError
from maploop.imagery.info import ImagerySource, imagery_name
from maploop.project import ProjectView

Sources = Callable[[int], ImagerySource]  # opens the imagery of an id


def read_snapshot(connection: Connection, project: ProjectView, scope: Scope, sources: Sources) -> Snapshot:
    """The snapshot of a project's tiles now; `connection` is one read transaction.

    Raises ConflictError when no tile is ready, saying what to do.
    """
    tiles = _tiles(connection, project, scope)
    if not tiles:
        raise ConflictError(why_nothing(connection, project, scope))
    features = _features(connection, project, scope)
    pairs = _placements(connection, project, scope)
    people = {row.id: row.name for row in connection.execute(select(Annotator.id, Annotator.name))}
    working = {row.finished_by for row in tiles} | {row.annotator_id for row in features}
    annotators = sorted(people[each] for each in working if each is not None)
    person = {key: annotators.index(name) for key, name in people.items() if name in annotators}
    class_of = {each.id: index for index, each in enumerate(project.classes)}
    imagery = _imagery(connection, {row.imagery_id for row in tiles if row.imagery_id is not None}, sources)
    imagery_of = {each.id: index for index, each in enumerate(imagery)}
    return Snapshot(
        project=project.name,
        zoom=project.zoom,
        contract=contract_of(project),
        classes=tuple(
            SnapshotClass(each.name, each.geometry_type, each.colour, each.definition) for each in project.classes
        ),
        imagery=tuple(imagery),
        annotators=tuple(annotators),
        tiles=TileColumns(
            x=_indices([row.x for row in tiles]),
            y=_indices([row.y for row in tiles]),
            split=_texts([row.split for row in tiles]),
            imagery=_indices([imagery_of.get(row.imagery_id, NOBODY) for row in tiles]),
            annotator=_indices([person.get(row.finished_by, NOBODY) for row in tiles]),
        ),
        features=FeatureColumns(
            id=_indices([row.id for row in features]),
            class_index=_indices([class_of[row.class_id] for row in features]),
            verdict=_texts([row.verdict for row in features]),
            annotator=_indices([person.get(row.annotator_id, NOBODY) for row in features]),
            geometry=_texts([row.geometry.hex() for row in features]),
            predicted_class=_indices([class_of.get(row.predicted_class_id, NOBODY) for row in features]),
            predicted=_texts([_unless_same(row.predicted, row.geometry) for row in features]),
        ),
        placements=_place(pairs, [row.id for row in tiles], [row.id for row in features]),
    )


def _tiles(connection: Connection, project: ProjectView, scope: Scope) -> list[Row[Any]]:
    return list(
        connection.execute(
            select(Tile.id, Tile.x, Tile.y, Tile.split, Tile.imagery_id, Tile.finished_by)
            .where(chosen(project, scope))
            .order_by(Tile.x, Tile.y)
        )
    )


def _features(connection: Connection, project: ProjectView, scope: Scope) -> list[Row[Any]]:
    """Annotations and rejections on the chosen tiles, with the prediction that was decided and who decided."""
    on_chosen = select(TileFeature.feature_id).join(Tile, Tile.id == TileFeature.tile_id).where(chosen(project, scope))
    return list(
        connection.execute(
            select(
                Feature.id,
                Feature.class_id,
                Feature.verdict,
                type_coerce(Feature.geometry, LargeBinary).label("geometry"),
                Prediction.class_id.label("predicted_class_id"),
                type_coerce(Prediction.geometry, LargeBinary).label("predicted"),
                Decision.annotator_id,
            )
            .outerjoin(Prediction, Prediction.id == Feature.prediction_id)
            .outerjoin(Decision, Decision.id == Feature.decision_id)
            .where(
                Feature.project_id == project.id,
                Feature.verdict.in_((*ANNOTATED, "reject")),
                Feature.withdrawn.is_(False),
                Feature.id.in_(on_chosen),
            )
            .order_by(Feature.id)
        )
    )


def _placements(connection: Connection, project: ProjectView, scope: Scope) -> NDArray[np.int64]:
    """Rows of tile id and feature id."""
    rows = connection.execute(
        select(TileFeature.tile_id, TileFeature.feature_id)
        .join(Tile, Tile.id == TileFeature.tile_id)
        .where(chosen(project, scope))
    )
    return np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 2)


def _place(pairs: NDArray[np.int64], tile_ids: list[int], feature_ids: list[int]) -> Placements:
    features = _indices(feature_ids)
    pairs = pairs[np.isin(pairs[:, 1], features)]
    tile_at = {identifier: index for index, identifier in enumerate(tile_ids)}
    tile = _indices([tile_at[identifier] for identifier in pairs[:, 0].tolist()])
    feature = np.searchsorted(features, pairs[:, 1])
    order = np.lexsort((feature, tile))
    return Placements(tile[order], feature[order])


def _imagery(connection: Connection, ids: set[int], sources: Sources) -> list[SnapshotImagery]:
    rows = connection.execute(select(Imagery.__table__).where(Imagery.id.in_(ids)).order_by(Imagery.id)).mappings()
    return [
        SnapshotImagery(
            id=row["id"],
            name=imagery_name(row["location"]),
            kind=row["kind"],
            attribution=row["attribution"],
            licence=row["licence"],
            may_train=row["may_train"],
            fingerprint=_fingerprint(row["id"], sources),
        )
        for row in rows
    ]


def _fingerprint(imagery_id: int, sources: Sources) -> str:
    """Empty when the imagery is gone: annotations can be exported all the same."""
    try:
        return sources(imagery_id).fingerprint
    except ImageryError:
        return ""


def _unless_same(predicted: bytes | None, geometry: bytes) -> str:
    return "" if predicted is None or predicted == geometry else predicted.hex()


def _indices(values: list[int]) -> Indices:
    return np.array(values, dtype=np.int64)


def _texts(values: list[str]) -> NDArray[np.object_]:
    return np.array(values, dtype=object)
