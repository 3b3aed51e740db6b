"""The local model: a small neural network on pixel and texture features, for every class of a project at once.

It needs no network, no key and no graphics card, learns from a few annotated tiles in seconds, and makes honest
mistakes: it knows colour, texture and the near surroundings of a pixel, and nothing of what a house is.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from maploop.errors import InputError, NotFoundError
from maploop.predict.drawing import PredictedFeature, draw
from maploop.predict.labels import (
    BACKGROUND,
    UNKNOWN,
    Example,
    LabelledGeometry,
    cell_labels,
    measure_half_widths,
)
from maploop.predict.pixels import CELL, REACH, pixel_features
from maploop.predict.whole_area import ReadWindow

__all__ = ["LabelledGeometry", "LocalModel", "PredictedFeature", "ReadWindow"]

_FORMAT: Final = 1  # of the saved file
_CELLS_A_CLASS: Final = 30_000  # taught of each class, and twice as many of the background
_BLOCK: Final = 1024  # pixels
_ROUNDS: Final = 16  # through all that is taught
_LOOKING: Final = 0.5  # the share of the work of training that is done before the first round


class LocalModel:
    """Finds the polygons, lines and points of a project's classes in pixels. Made by `train` or `load`."""

    def __init__(
        self,
        classes: Mapping[str, str],
        half_width: Mapping[str, float],
        network: Pipeline,
        known: NDArray[np.uint8],
        odds: NDArray[np.float32],
    ) -> None:
        self.classes = dict(classes)
        self._half_width = dict(half_width)
        self._network = network
        self._known = known  # labels the network met; a class nobody drew is never predicted
        self._odds = odds  # how much rarer each is on the ground than it was in training

    @classmethod
    def train(
        cls,
        examples: Sequence[Example],
        classes: Mapping[str, str],
        seed: int = 0,
        *,
        parent: "LocalModel | None" = None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> "LocalModel":
        """Learn from complete images: what is not annotated is background.

        `examples` are pairs of a uint8 image (h, w, 3) and its features in its pixels, and are gone through twice, one
        at a time; `classes` maps names to polygon, line or point. With a `parent` of the same classes, learning goes on
        from what it knows. `progress` hears a share from 0 to 1, and may raise to stop. Raises InputError when there is
        nothing to learn from, or the parent does not know all that the examples show.
        """
        _check_classes(classes)
        half_width = measure_half_widths(examples, classes)
        rng = np.random.default_rng(seed)
        features, labels, seen = [], [], np.zeros(len(classes) + 1)
        for number, (image, annotated) in enumerate(examples, start=1):
            cells = pixel_features(_checked(image))
            taught = cell_labels(cells.shape[:2], annotated, classes, half_width)
            seen += np.bincount(taught[taught != UNKNOWN], minlength=len(seen))[: len(seen)]
            chosen = _sample(taught, len(examples), len(classes), rng)
            features.append(cells.reshape(-1, cells.shape[2])[chosen])
            labels.append(taught.ravel()[chosen])
            progress(_LOOKING * number / len(examples))
        if np.count_nonzero(seen) < 2:
            cells_drawn = int(seen[1:].sum())
            msg = f"{len(examples)} images with {cells_drawn} annotated cells teach nothing: approve more tiles first."
            raise InputError(msg)
        known_features, known_labels = np.concatenate(features), np.concatenate(labels)
        taught_labels, taken = np.unique(known_labels, return_counts=True)
        weighing = (seen[taught_labels] / seen.sum() / (taken / taken.sum())).astype(np.float32)
        if parent is None:
            network = make_pipeline(
                StandardScaler().fit(known_features), MLPClassifier((64, 32), batch_size=512, learning_rate_init=2e-3)
            )
            known, odds = taught_labels.astype(np.uint8), weighing
        else:
            network, known, odds = parent._taken_on(classes, taught_labels, weighing)
            drawn = {feature.class_name for _, annotated in examples for feature in annotated}
            half_width |= {name: width for name, width in parent._half_width.items() if name not in drawn}
        _fit(network, known_features, known_labels, known, seed, progress)
        return cls(classes, half_width, network, known, odds)

    def _taken_on(
        self, classes: Mapping[str, str], labels: NDArray[np.uint8], weighing: NDArray[np.float32]
    ) -> tuple[Pipeline, NDArray[np.uint8], NDArray[np.float32]]:
        """A network to go on with, the labels it knows and their odds, new where there are new ones."""
        names = ["background", *classes]
        if list(classes.items()) != list(self.classes.items()):
            msg = f"The base knows {', '.join(self.classes)}, not {', '.join(classes)}: begin with a fresh local model."
            raise InputError(msg)
        if unknown := [names[label] for label in labels.tolist() if label not in self._known]:
            msg = f"The base never saw {', '.join(unknown)}, and cannot learn it now: begin with a fresh local model."
            raise InputError(msg)
        odds = self._odds.copy()
        odds[np.searchsorted(self._known, labels)] = weighing
        return copy.deepcopy(self._network), self._known, odds

    def predict(self, image: NDArray[np.uint8]) -> list[PredictedFeature]:
        """Features of one image (h, w, 3), in its pixels."""
        image = _checked(image)
        return self.predict_area(
            lambda left, top, width, height: image[top : top + height, left : left + width],
            image.shape[1],
            image.shape[0],
        )

    def predict_area(
        self,
        read: ReadWindow,
        width: int,
        height: int,
        block: int = _BLOCK,
        progress: Callable[[float], None] | None = None,
    ) -> list[PredictedFeature]:
        """Features of a raster of any size, in its pixels, each once and whole.

        Pixels are read in blocks of `block` (an even number) with a margin as wide as the model looks, so what
        comes out does not depend on `block`. Kept for the whole raster is one byte a class for every four pixels.
        """
        if block < 2 or block % CELL:
            msg = f"A block of {block} pixels does not work: use an even number of at least 2."
            raise InputError(msg)
        rows, columns = -(-height // CELL), -(-width // CELL)
        probability = np.zeros((len(self.classes) + 1, rows, columns), dtype=np.uint8)
        windows = list(_windows(width, height, block))
        for done, (left, top, right, bottom) in enumerate(windows, start=1):
            x0, y0 = max(0, left - REACH), max(0, top - REACH)
            x1, y1 = min(width, right + REACH), min(height, bottom + REACH)
            cells = pixel_features(read(x0, y0, x1 - x0, y1 - y0))
            inside = cells[
                (top - y0) // CELL : -(-(bottom - y0) // CELL), (left - x0) // CELL : -(-(right - x0) // CELL)
            ]
            found = self._probability(inside.reshape(-1, cells.shape[2])).reshape(*inside.shape[:2], -1)
            target = probability[:, top // CELL : -(-bottom // CELL), left // CELL : -(-right // CELL)]
            target[self._known] = np.moveaxis(np.round(found * 255).astype(np.uint8), 2, 0)
            if progress:
                progress(done / len(windows))
        return draw(probability, self.classes, width, height, half_width=self._half_width)

    def _probability(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of each known label, (n, known), as common as they are on the ground."""
        with threadpool_limits(1):
            weighed = self._network.predict_proba(cells) * self._odds
        return np.asarray(weighed / weighed.sum(axis=1, keepdims=True), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write the model to one file."""
        state = {
            "format": _FORMAT,
            "classes": self.classes,
            "half_width": self._half_width,
            "network": self._network,
            "known": self._known,
            "odds": self._odds,
        }
        draft = path.with_name(path.name + ".part")
        joblib.dump(state, draft, compress=3)
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> "LocalModel":
        """Read a model that `save` wrote.

        The file is trusted: it is a pickle, and reading one that somebody else made can run anything. Only ever load
        files from Maploop's own data folder. Raises NotFoundError or InputError.
        """
        if not path.is_file():
            msg = f"There is no model at {path}: train one, or give the path of a saved one."
            raise NotFoundError(msg)
        try:
            state = joblib.load(path)
            if state["format"] != _FORMAT:
                msg = f"{path} is a model of format {state['format']}, this version reads {_FORMAT}: train it again."
                raise InputError(msg)
            return cls(state["classes"], state["half_width"], state["network"], state["known"], state["odds"])
        except InputError:
            raise
        except Exception as error:  # unpickling may raise anything
            msg = f"{path} is not a saved local model ({type(error).__name__}): train it again."
            raise InputError(msg) from error


def _fit(
    network: Pipeline,
    features: NDArray[np.float32],
    labels: NDArray[np.uint8],
    known: NDArray[np.uint8],
    seed: int,
    progress: Callable[[float], None],
) -> None:
    """Teach the network for some rounds, telling after each; few, so that it does not know the town by heart."""
    scaler, classifier = network[0], network[-1]
    classifier.set_params(random_state=np.random.RandomState(seed))  # an int would shuffle alike in each round
    scaled = scaler.transform(features)
    with threadpool_limits(1):  # such small products are slower on many threads
        for number in range(1, _ROUNDS + 1):
            classifier.partial_fit(scaled, labels, classes=known)
            progress(_LOOKING + (1 - _LOOKING) * number / _ROUNDS)


def _check_classes(classes: Mapping[str, str]) -> None:
    for name, kind in classes.items():
        if kind not in ("polygon", "line", "point"):
            msg = f"{kind!r} is no geometry type for class {name!r}: use polygon, line or point."
            raise InputError(msg)
    if not 1 <= len(classes) < UNKNOWN - 1:
        msg = f"{len(classes)} classes cannot be learned: use 1 to {UNKNOWN - 2}."
        raise InputError(msg)


def _checked(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or min(image.shape[:2]) < CELL:
        msg = f"An image of shape {image.shape} and type {image.dtype} does not work: give uint8 (height, width, 3)."
        raise InputError(msg)
    return image


def _sample(labels: NDArray[np.uint8], images: int, classes: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Flat places of the cells to learn from: as many of each class as there are, up to a fair share."""
    flat, chosen = labels.ravel(), []
    for label in range(classes + 1):
        places = np.flatnonzero(flat == label)
        share = max(1, _CELLS_A_CLASS * (2 if label == BACKGROUND else 1) // images)
        chosen.append(rng.choice(places, share, replace=False) if len(places) > share else places)
    return np.concatenate(chosen)


def _windows(width: int, height: int, block: int) -> Iterator[tuple[int, int, int, int]]:
    for top in range(0, height, block):
        for left in range(0, width, block):
            yield left, top, min(left + block, width), min(top + block, height)
