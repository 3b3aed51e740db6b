"""The sample project's files: imagery, the truth, and what a model that learned in another town makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from maploop.predict.local import LabelledGeometry, LocalModel
from maploop.sample.place import ATTRIBUTION, CLASSES, LICENCE, SAMPLE_SIZE, SAMPLE_ZOOM, pixels_to_degrees
from maploop.sample.town import checked_plan, make_town, paint_plan, truth_in_pixels, write_features

__all__ = ["ATTRIBUTION", "CLASSES", "LICENCE", "SAMPLE_ZOOM", "SampleFiles", "make_sample", "train_in_another_town"]

SCHOOL_SEED: Final = 1_000_003  # added to the seed: the town the model learns in is never the one it is asked about
SCHOOL_SIZE: Final = 1536

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class SampleFiles:
    """What `make_sample` wrote; features carry `class`, predictions also `score`, all in EPSG:4326."""

    imagery: Path
    predictions: Path
    truth: Path
    model: Path


def make_sample(
    folder: Path, *, seed: int = 7, size: int = SAMPLE_SIZE, progress: Progress | None = None
) -> SampleFiles:
    """Make the sample town and let a local model, trained in a smaller town of another seed, map it.

    `progress` hears a share from 0 to 1 and what is going on. Raises InputError for a size or seed that makes no town.
    """
    report = progress or (lambda _share, _what: None)
    town = make_town(folder, seed=seed, size=size, progress=lambda share: report(0.4 * share, "Drawing the town"))
    files = SampleFiles(town.imagery, folder / "predictions.geojson", folder / "truth.geojson", folder / "local.model")
    write_features(files.truth, ((f.geometry, {"class": f.class_name, **f.properties}) for f in town.truth))
    report(0.4, "Training the local model in another town")
    model = train_in_another_town(seed)
    model.save(files.model)
    with rasterio.open(town.imagery) as raster:

        def read(left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
            bands = raster.read(window=Window(left, top, width, height))
            return np.ascontiguousarray(np.moveaxis(bands, 0, 2))

        found = model.predict_area(
            read, size, size, progress=lambda share: report(0.6 + 0.4 * share, "Predicting features")
        )
    write_features(
        files.predictions,
        ((pixels_to_degrees(f.geometry, size), {"class": f.class_name, "score": f.score}) for f in found),
    )
    report(1.0, "Done")
    return files


def train_in_another_town(seed: int) -> LocalModel:
    """The local model that knows a small town of another seed and nothing else."""
    plan = checked_plan((seed + SCHOOL_SEED) % 2**31, SCHOOL_SIZE)
    features = [LabelledGeometry(feature.class_name, feature.geometry) for feature in truth_in_pixels(plan)]
    return LocalModel.train([(paint_plan(plan), features)], CLASSES)
