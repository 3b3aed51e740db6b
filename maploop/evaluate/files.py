"""Two files against each other, no project needed: what `maploop evaluate --truth FILE --predictions FILE` answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from maploop.evaluate.layers import Indices, whole_layer
from maploop.evaluate.matching import Rules
from maploop.evaluate.metrics import Evaluation, evaluate
from maploop.evaluate.survey import classes_of, survey
from maploop.imagery.tilemath import tile_indices
from maploop.vectors.features import FeatureTable, ReadReport
from maploop.vectors.formats.documents import json_document
from maploop.vectors.geometry import Geometries
from maploop.vectors.read import read_features

PLACE_ZOOM = 17  # about 300 m: a block of intervals, as features of one place tend to go wrong together


def evaluate_files(
    truth: Path,
    predictions: Path,
    rules: Rules,
    *,
    class_name: str | None = None,
    class_field: str | None = None,
    score_field: str | None = None,
    source_crs: str | None = None,
    images: Path | None = None,
    image_size: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Evaluation, dict[str, Any]]:
    """Hold a file of predictions against a file of truth -> the evaluation, and how the files were read.

    Features are matched over the whole file, uncut. Classes are those of the fields that name them; without such a
    field, and with one class only of a geometry type in the other file, it is that class. Raises VectorError.
    """
    progress("Reading")
    listed = images if images is not None else _lists_images(truth)
    surveys = [survey(path, class_field, images=listed, image_size=image_size) for path in (truth, predictions)]
    classes = classes_of(surveys)
    if class_name is not None:
        types = surveys[0][1] or surveys[1][1]
        classes = {class_name: types.most_common(1)[0][0] if types else "polygon"}

    def read(path: Path, scores: str | None) -> tuple[FeatureTable, ReadReport]:
        return read_features(
            path,
            classes=classes,
            class_name=class_name,
            class_field=class_field if class_name is None else None,
            score_field=scores,
            source_crs=source_crs,
            images=listed,
            image_size=image_size,
            keep_crowds=True,
        )

    true, true_report = read(truth, None)
    predicted, predicted_report = read(predictions, score_field)
    progress("Comparing")
    keys = np.concatenate([_places(true.geometries), _places(predicted.geometries)])
    places, place = np.unique(keys, return_inverse=True)
    index_of = {name: index for index, name in enumerate(classes)}
    true_class, predicted_class = (
        np.array([index_of[name] for name in table.class_names], dtype=np.int64) for table in (true, predicted)
    )
    known = whole_layer(true.geometries, true_class, place[: len(true)])
    found = whole_layer(predicted.geometries, predicted_class, place[len(true) :], predicted.scores)
    crowds = np.zeros(len(known), dtype=np.bool_) if true.crowds is None else true.crowds
    evaluation = evaluate(
        known.only(~crowds), found, classes, len(places), rules, within_tiles=False, ignored=known.only(crowds)
    )
    return evaluation, {"truth": _told(true, true_report), "predictions": _told(predicted, predicted_report)}


def _lists_images(truth: Path) -> Path | None:
    """The truth, when it is COCO: a list of results beside it means its images."""
    if truth.suffix.lower() != ".json" or not truth.is_file():
        return None
    document = json_document(truth)
    return truth if isinstance(document, dict) and isinstance(document.get("images"), list) else None


def _places(geometries: Geometries) -> Indices:
    """A number for the tile of `PLACE_ZOOM` that the middle of each feature's bounds is in."""
    west, south, east, north = shapely.bounds(geometries).reshape(-1, 4).T
    columns, rows = tile_indices((west + east) / 2, (south + north) / 2, PLACE_ZOOM)
    return columns << PLACE_ZOOM | rows


def _told(table: FeatureTable, report: ReadReport) -> dict[str, Any]:
    return {"read": report.read, "used": len(table), "repaired": len(report.repaired), "skipped": report.skipped}
