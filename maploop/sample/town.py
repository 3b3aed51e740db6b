"""The sample town as files: a cloud-optimised GeoTIFF and the exact truth beside it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import rasterio
import rasterio.shutil
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry
from threadpoolctl import threadpool_limits

from maploop.errors import InputError
from maploop.sample.paint import Painter
from maploop.sample.place import (
    ATTRIBUTION,
    LICENCE,
    PIXEL,
    SAMPLE_CRS,
    pixels_to_degrees,
    raster_transform,
)
from maploop.sample.plan import Plan, plan_town
from maploop.sample.sketch import TruthFeature

SMALLEST = 256
LARGEST = 32_768
_BLOCK = 1024
_WORKERS = 2

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Town:
    """A town on disk: where its picture is, and what is really there (EPSG:4326)."""

    imagery: Path
    seed: int
    size: int
    truth: list[TruthFeature]


def make_town(folder: Path, *, seed: int = 7, size: int = 3072, progress: Progress | None = None) -> Town:
    """Write `folder/town-SEED-SIZE.tif`, `size` pixels a side at 0.149 m, and return it with its truth.

    The same seed and size give the same bytes. Time and the size of the file grow with the area; memory hardly does.
    Raises InputError for a size or seed that makes no town.
    """
    plan = checked_plan(seed, size)
    folder.mkdir(parents=True, exist_ok=True)
    imagery = folder / f"town-{seed}-{size}.tif"
    _write_imagery(plan, imagery, progress or (lambda _: None))
    return Town(imagery, seed, size, truth_in_degrees(plan))


def checked_plan(seed: int, size: int) -> Plan:
    """The plan of a town; raises InputError for a size or seed that makes none."""
    if not SMALLEST <= size <= LARGEST:
        msg = f"{size} pixels is no size for a town: choose {SMALLEST} to {LARGEST}."
        raise InputError(msg)
    if not 0 <= seed < 2**31:
        msg = f"{seed} is no seed for a town: choose a whole number from 0 to {2**31 - 1}."
        raise InputError(msg)
    return plan_town(seed, size)


def truth_in_pixels(plan: Plan) -> list[TruthFeature]:
    """The truth in pixels of the picture, x right, y down."""
    return [
        TruthFeature(
            feature.class_name, shapely.transform(feature.geometry, lambda points: points / PIXEL), feature.properties
        )
        for feature in plan.truth
    ]


def truth_in_degrees(plan: Plan) -> list[TruthFeature]:
    """The truth in EPSG:4326."""
    return [
        TruthFeature(feature.class_name, pixels_to_degrees(feature.geometry, plan.size), feature.properties)
        for feature in truth_in_pixels(plan)
    ]


def paint_plan(plan: Plan) -> NDArray[np.uint8]:
    """The whole picture in memory, (size, size, 3): for small towns."""
    picture = np.empty((plan.size, plan.size, 3), dtype=np.uint8)
    for (left, top, width, height), pixels in _painted(plan):
        picture[top : top + height, left : left + width] = pixels
    return picture


def write_features(path: Path, rows: Iterable[tuple[BaseGeometry, dict[str, str | float]]]) -> None:
    """Write EPSG:4326 geometries with their properties as GeoJSON."""
    features = [
        {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(geometry)}
        for geometry, properties in rows
    ]
    path.write_bytes(orjson.dumps({"type": "FeatureCollection", "features": features}))


def _painted(plan: Plan) -> Iterator[tuple[tuple[int, int, int, int], NDArray[np.uint8]]]:
    """Block by block, in order, a few at a time."""
    painter = Painter(plan)
    starts = range(0, plan.size, _BLOCK)
    boxes = [(x, y, min(_BLOCK, plan.size - x), min(_BLOCK, plan.size - y)) for y in starts for x in starts]
    with ThreadPoolExecutor(_WORKERS) as pool, threadpool_limits(1):  # the workers are threads enough
        for first in range(0, len(boxes), _WORKERS):  # no more blocks in memory than there are workers
            batch = boxes[first : first + _WORKERS]
            yield from zip(batch, pool.map(lambda box: painter.window(*box), batch), strict=True)


def _write_imagery(plan: Plan, path: Path, progress: Progress) -> None:
    profile = {
        "driver": "GTiff",
        "width": plan.size,
        "height": plan.size,
        "count": 3,
        "dtype": "uint8",
        "crs": SAMPLE_CRS,
    }
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "photometric": "RGB"}
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        draft, finished = Path(scratch) / "draft.tif", Path(scratch) / "finished.tif"
        with rasterio.open(draft, "w", **profile, **tiles, transform=raster_transform(plan.size)) as raster:
            raster.update_tags(ATTRIBUTION=ATTRIBUTION, LICENCE=LICENCE)
            for (left, top, width, height), pixels in _painted(plan):
                raster.write(np.moveaxis(pixels, 2, 0), window=Window(left, top, width, height))
                progress(0.9 * ((top + height) * plan.size * 1.0 - (plan.size - left - width) * height) / plan.size**2)
        rasterio.shutil.copy(
            draft, finished, driver="COG", compress="JPEG", quality=90, blocksize=512, overview_resampling="average"
        )
        finished.replace(path)
    progress(1.0)
