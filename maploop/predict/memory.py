"""What the project knows already of the ground that new predictions come in over, so that nothing is asked twice."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, LargeBinary, Select, case, null, or_, select, type_coerce

from db.bulk import in_lists
from db.models import Feature, Prediction, Tile, TileFeature
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.imagery.tilemath import metres_per_pixel
from maploop.project import ProjectView
from maploop.vectors.geometry import Geometries, as_geometries, match_features

NONE = -1


@dataclass(frozen=True)
class Known:
    """Features already there, as parallel columns; undone additions are no features.

    said_class_ids, said_geometries     what the model had said of a corrected feature (0 and None for the others)
    prediction_ids                      the prediction each one shows; 0 for what a person added
    """

    ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    geometries: Geometries
    verdicts: NDArray[np.object_]
    decision_ids: NDArray[np.object_]
    prediction_ids: NDArray[np.int64]
    withdrawn: NDArray[np.bool_]
    said_class_ids: NDArray[np.int64]
    said_geometries: Geometries

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> "Known":
        """Those that a mask or indices say."""
        return Known(*(getattr(self, column.name)[kept] for column in fields(self)))

    def replaced(self, newer: "Known") -> "Known":
        """These, with those that `newer` knows as it knows them, and what only `newer` knows behind them."""
        place = {identifier: index for index, identifier in enumerate(self.ids.tolist())}
        at = np.array([place.get(identifier, NONE) for identifier in newer.ids.tolist()], dtype=np.int64)
        columns = []
        for column in fields(self):
            mine, theirs = getattr(self, column.name).copy(), getattr(newer, column.name)
            mine[at[at != NONE]] = theirs[at != NONE]
            columns.append(np.concatenate([mine, theirs[at == NONE]]))
        return Known(*columns)


def known_features(connection: Connection, project: ProjectView, tiles: Sequence[TileAddress]) -> Known:
    """The features around the given tiles, near enough to match something on them."""
    return _known(connection.execute(_around(_full(), project, tiles)).all()) if tiles else _known([])


def features_with_ids(connection: Connection, ids: Sequence[int]) -> Known:
    """The features of these ids, ordered by id."""
    rows: list[Any] = []
    for some in in_lists(sorted(ids)):
        rows += connection.execute(_full().where(Feature.id.in_(some)).order_by(Feature.id))
    return _known(rows)


@dataclass(frozen=True)
class Recall:
    """New features beside what is known: `found` is for each the index of what it stands for in `known`, or `NONE`."""

    known: Known
    found: NDArray[np.int64]

    @property
    def met(self) -> NDArray[np.int64]:
        """Indices of the new features that stand for a known one."""
        return np.flatnonzero(self.found != NONE)

    @property
    def new(self) -> NDArray[np.int64]:
        """Indices of those that do not."""
        return np.flatnonzero(self.found == NONE)


def recall(geometries: Geometries, class_ids: NDArray[np.int64], known: Known, project: ProjectView) -> Recall:
    """Find what new features stand for, one to one: of the same class, at the project's IoU threshold or tolerance.

    Failing that, a feature that a person corrected, as the model had said it: the same mistake again is no news.
    """
    found = np.full(len(geometries), NONE, dtype=np.int64)
    for each in project.classes if len(known) else ():
        settings = project.settings
        for known_classes, known_geometries in (
            (known.class_ids, known.geometries),
            (known.said_class_ids, known.said_geometries),
        ):
            candidates = np.flatnonzero((class_ids == each.id) & (found == NONE))
            earlier = np.setdiff1d(np.flatnonzero(known_classes == each.id), found)
            matches = match_features(
                geometries[candidates],
                known_geometries[earlier],
                each.geometry_type,
                iou_threshold=settings.iou_threshold,
                tolerance_m=settings.line_tolerance_m if each.geometry_type == "line" else settings.point_tolerance_m,
            )
            found[candidates[matches.candidate]] = earlier[matches.earlier]
    return Recall(known, found)


def recall_since(
    connection: Connection,
    project: ProjectView,
    tiles: Sequence[TileAddress],
    geometries: Geometries,
    class_ids: NDArray[np.int64],
    before: Recall,
) -> Recall:
    """`before`, brought up to what people and other imports did since: cheap enough for a write transaction."""
    changed = _changed_features(connection, project, tiles, before.known)
    if not len(changed):
        return before
    known = before.known.replaced(changed)
    place = {identifier: index for index, identifier in enumerate(known.ids.tolist())}
    at = np.array([place[identifier] for identifier in changed.ids.tolist()], dtype=np.int64)
    free = ~np.isin(at, before.found)
    unmet = before.new
    later = recall(geometries[unmet], class_ids[unmet], changed.only(free), project)
    found = before.found.copy()
    found[unmet[later.met]] = at[free][later.found[later.met]]
    return Recall(known, found)


def _changed_features(
    connection: Connection, project: ProjectView, tiles: Sequence[TileAddress], known: Known
) -> Known:
    """What `known_features` would find now and is new or has moved on since it found `known`."""
    states = zip(known.decision_ids, known.prediction_ids.tolist(), strict=True)
    before = dict(zip(known.ids.tolist(), states, strict=True))
    light = cast("Select[Any]", select(Feature.id, Feature.decision_id, Feature.prediction_id))
    changed = [
        row.id
        for row in (connection.execute(_around(light, project, tiles)) if tiles else ())
        if before.get(row.id) != (row.decision_id, row.prediction_id or 0)
    ]
    return features_with_ids(connection, changed)


def _full() -> Select[Any]:
    corrected = Feature.verdict == "correct"
    return select(
        Feature.id,
        Feature.class_id,
        type_coerce(Feature.geometry, LargeBinary).label("geometry"),
        Feature.verdict,
        Feature.decision_id,
        Feature.prediction_id,
        Feature.withdrawn,
        case((corrected, Prediction.class_id), else_=0).label("said_class_id"),
        case((corrected, type_coerce(Prediction.geometry, LargeBinary)), else_=null()).label("said_geometry"),
    ).outerjoin(Prediction, Prediction.id == Feature.prediction_id)


def _around(query: Select[Any], project: ProjectView, tiles: Sequence[TileAddress]) -> Select[Any]:
    """The query's features on tiles in the bounding box of `tiles`, grown by what a tolerance can reach."""
    farthest = max(project.settings.line_tolerance_m, project.settings.point_tolerance_m)
    narrowest = max(tiles, key=lambda tile: abs(tile.y - 2 ** (tile.z - 1)))
    reach = 1 + int(farthest / metres_per_pixel(narrowest, 1))
    xs, ys = [tile.x for tile in tiles], [tile.y for tile in tiles]
    on_tiles = (
        select(TileFeature.feature_id)
        .join(Tile, Tile.id == TileFeature.tile_id)
        .where(
            Tile.project_id == project.id,
            Tile.z == project.zoom,
            Tile.x.between(min(xs) - reach, max(xs) + reach),
            Tile.y.between(min(ys) - reach, max(ys) + reach),
        )
    )
    there = or_(Feature.prediction_id.is_not(None), Feature.verdict.is_not(None))
    return query.where(Feature.id.in_(on_tiles), there).order_by(Feature.id)


def _known(rows: Sequence[Any]) -> Known:
    def column(name: str, dtype: Any, empty: Any = None) -> NDArray[Any]:
        values = np.empty(len(rows), dtype=dtype)
        values[:] = [empty if getattr(row, name) is None else getattr(row, name) for row in rows]
        return values

    return Known(
        ids=column("id", np.int64),
        class_ids=column("class_id", np.int64),
        geometries=as_geometries(shapely.from_wkb(column("geometry", object))),
        verdicts=column("verdict", object),
        decision_ids=column("decision_id", object),
        prediction_ids=column("prediction_id", np.int64, 0),
        withdrawn=column("withdrawn", np.bool_),
        said_class_ids=column("said_class_id", np.int64, 0),
        said_geometries=as_geometries(shapely.from_wkb(column("said_geometry", object))),
    )
