"""Trains the local model, in this process, while one waits."""

import time
from typing import Any, Final

import numpy as np

from maploop.dataset.snapshot import Indices
from maploop.errors import InputError
from maploop.evaluate.layers import cut_layer, whole_layer
from maploop.evaluate.matching import Rules
from maploop.evaluate.metrics import Evaluation, evaluate
from maploop.imagery.tilemath import from_pixels
from maploop.predict.local import LocalModel
from maploop.predict.model_files import keep_model, open_model
from maploop.tune.examples import TileExamples, examples_with_pixels, tiles_with_pixels
from maploop.tune.trainer import Lesson, Trained
from maploop.vectors.geometry import as_geometries

MAX_TILES: Final = 400  # what teaches in about two minutes; more would only be sampled more thinly
_LEARNING: Final = 0.8  # the share of the work


class LocalTrainer:
    """Makes local models: from nothing, or going on from another one of the same classes."""

    backend = "local"

    def train(self, lesson: Lesson) -> Trained:
        """See `trainer.Trainer`."""
        started = time.perf_counter()
        tiles = tiles_with_pixels(lesson.snapshot, "train")
        snapshot, taught, sight = examples_with_pixels(lesson.snapshot, _some(tiles, MAX_TILES), lesson.sources)
        if not len(taught):
            reasons = "; ".join(sight.left_out(snapshot))
            msg = f"No train tile has pixels to learn from: {reasons}."
            raise InputError(msg)
        classes: dict[str, str] = {each.name: each.geometry_type for each in lesson.snapshot.classes}
        model = LocalModel.train(
            TileExamples(snapshot, taught, lesson.sources),
            classes,
            parent=_parent(lesson),
            progress=lambda share: lesson.step(_LEARNING * share, "Learning"),
        )
        remembered: dict[str, Any] = {
            "classes": classes,
            "tiles": len(taught),
            "tiles_left_out": len(tiles) - len(taught),
            "left_out": sight.left_out(snapshot),
            "validation": _measured(lesson, model),
            "seconds": round(time.perf_counter() - started, 2),
        }
        lesson.step(1.0, "Keeping the model")
        return Trained(keep_model(model, lesson.name), remembered)


def _parent(lesson: Lesson) -> LocalModel | None:
    if lesson.base is None:
        return None
    if lesson.base.backend != "local":
        msg = f"{lesson.base.name!r} is a {lesson.base.backend} model: the local trainer goes on from local ones only."
        raise InputError(msg)
    return open_model(lesson.base.identifier)


def _some(tiles: Indices, most: int) -> Indices:
    """At most so many tiles, evenly spread over the ground."""
    return tiles[np.linspace(0, len(tiles) - 1, min(most, len(tiles))).round().astype(np.int64)]


def _measured(lesson: Lesson, model: LocalModel) -> dict[str, Any] | None:
    """How the model does on the validation split, tile by tile; None when nothing fell into it."""
    snapshot = lesson.snapshot
    snapshot, tiles, _ = examples_with_pixels(
        snapshot, _some(tiles_with_pixels(snapshot, "validation"), MAX_TILES), lesson.sources
    )
    if not len(tiles):
        return None
    names = [each.name for each in snapshot.classes]
    examples = TileExamples(snapshot, tiles, lesson.sources)
    outlines, classes, places, scores = [], [], [], []
    for place, (image, _) in enumerate(examples):
        lesson.step(_LEARNING + (1 - _LEARNING) * place / len(tiles), "Measuring on the validation split")
        for found in model.predict(image):
            outlines.append(from_pixels(found.geometry, examples.address(place), snapshot.contract.image_size))
            classes.append(names.index(found.class_name))
            places.append(place)
            scores.append(found.score)
    predictions = whole_layer(
        as_geometries(outlines), np.array(classes, dtype=np.int64), np.array(places, dtype=np.int64), np.array(scores)
    )
    place_of = np.full(len(snapshot.tiles.x), -1, dtype=np.int64)
    place_of[tiles] = np.arange(len(tiles))
    placed = snapshot.placements
    rows = np.flatnonzero((place_of[placed.tile] >= 0) & snapshot.annotated[placed.feature])
    kept, feature = np.unique(placed.feature[rows], return_inverse=True)
    truth = cut_layer(
        snapshot.features.geometries[kept],
        snapshot.features.class_index[kept],
        None,
        feature,
        place_of[placed.tile[rows]],
        [snapshot.tile(tile) for tile in tiles.tolist()],
    )
    settings = lesson.project.settings
    rules = Rules(settings.iou_threshold, settings.line_tolerance_m, settings.point_tolerance_m)
    types = {each.name: each.geometry_type for each in snapshot.classes}
    return _told(evaluate(truth, predictions, types, len(tiles), rules))


def _told(evaluation: Evaluation) -> dict[str, Any]:
    """F1, precision and recall, over all and of each class, with the counts they rest on."""

    def figures(scores: Any) -> dict[str, Any]:
        values = {name: scores.figures[name].value for name in ("f1", "precision", "recall") if name in scores.figures}
        return {"tp": scores.tp, "fp": scores.fp, "fn": scores.fn, **values}

    return {
        "tiles": evaluation.tiles,
        **figures(evaluation.overall),
        "classes": {name: figures(scores) for name, scores in evaluation.classes.items()},
    }
