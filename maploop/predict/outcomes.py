"""From what a predictor answered to rows: features that fit the project, and per tile what became of it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from maploop.predict.placing import MAX_TILES_A_FEATURE, span
from maploop.predict.predictor import Outcome
from maploop.project import ProjectView
from maploop.vectors.features import FeatureTable
from maploop.vectors.geometry import GeometryType, as_geometries, on_earth, parts_of_type, repair_polygons


def feature_table(project: ProjectView, outcomes: Sequence[Outcome]) -> tuple[FeatureTable, list[Counter[str]]]:
    """The features of some outcomes, made valid, and for each outcome what was left out, by reason.

    Rows number the outcomes. Raises InputError for a class that the project does not have.
    """
    rows: list[int] = []
    geometries: list[BaseGeometry] = []
    names: list[str] = []
    scores: list[float] = []
    dropped = [Counter(outcome.dropped) for outcome in outcomes]
    for row, outcome in enumerate(outcomes):
        for feature in outcome.features if outcome.failure is None else ():
            known = project.class_named(feature.class_name)
            parts = _usable(feature.geometry, known.geometry_type)
            if not parts:
                dropped[row][f"not a usable {known.geometry_type}"] += 1
            rows += [row] * len(parts)
            geometries += parts
            names += [known.name] * len(parts)
            scores += [float("nan") if feature.score is None else min(max(feature.score, 0.0), 1.0)] * len(parts)
    shapes = as_geometries(geometries)
    fits = span(shapes, project.zoom) <= MAX_TILES_A_FEATURE
    for row in np.array(rows, dtype=np.int64)[~fits].tolist():
        dropped[row]["too large"] += 1
    table = FeatureTable(
        rows=np.array(rows, dtype=np.int64)[fits],
        geometries=shapes[fits],
        class_names=np.array(names, dtype=object)[fits],
        scores=np.array(scores, dtype=np.float64)[fits],
        properties=[{} for _ in range(int(fits.sum()))],
    )
    return table, dropped


def _usable(geometry: BaseGeometry, geometry_type: GeometryType) -> list[BaseGeometry]:
    """The valid parts of the right type that lie on earth."""
    flat = shapely.force_2d(geometry)
    parts = as_geometries(parts_of_type(flat, geometry_type))
    if geometry_type == "polygon" and not shapely.is_valid(parts).all():
        parts, _ = repair_polygons(parts)
    good = shapely.is_valid(parts) & np.isfinite(shapely.bounds(parts).reshape(-1, 4)).all(axis=1)
    parts = parts[good]
    return list(parts[on_earth(parts)]) if len(parts) else []
