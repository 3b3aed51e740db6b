"""Time and memory for evaluating tiles of 50 features each, beside pycocotools: `python -m bench.evaluate [TILES ...]`.

Half of the features are truth, half predictions with scores, in three classes; 200 and 1,000 tiles unless told
otherwise (10,000 make 500,000 features). Each figure is of a fresh process that makes the features, and its peak memory
includes Python and all libraries; seconds are of the evaluation alone, on the clock and, in brackets, of the processor,
which tells what a busy machine does not. Maploop gives every figure it has, by class, score and size, with intervals
over blocks of 4 x 4 tiles; pycocotools the average precision of masks, over all sizes only. The last line is the growth
of the processor's seconds a feature from the smallest to the largest.
"""

import contextlib
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.evaluate.layers import whole_layer
from maploop.evaluate.matching import Rules
from maploop.evaluate.metrics import evaluate
from maploop.imagery.tilemath import Tile
from maploop.vectors.geometry import Geometries, GeometryType, as_geometries
from maploop.vectors.geometry.tiling import degrees_of

TILES = (200, 1_000)
A_TILE = 25  # truths, and as many predictions
SIDE = 512  # pixels of a tile
FIRST = Tile(19, 309_600, 261_600)
CLASSES: dict[str, GeometryType] = {"building": "polygon", "shed": "polygon", "tank": "polygon"}
WANTED_SECONDS = 60.0  # of the processor, for 500,000 features, in proportion for fewer
_CORNERS = np.linspace(0, 2 * np.pi, 8, endpoint=False)


class Measured(NamedTuple):
    """Seconds on the clock and of the processor, peak megabytes of the process, AP50."""

    seconds: float
    processor: float
    peak: float
    precision: float


class Side(NamedTuple):
    """Truth or predictions: rings in pixels, (n, 8, 2), with class, tile and score of each."""

    rings: NDArray[np.float64]
    class_index: NDArray[np.int64]
    tile: NDArray[np.int64]
    scores: NDArray[np.float64]


def main() -> None:
    """Print seconds, memory and AP by number of tiles; exit 1 when the largest takes longer than wanted."""
    sizes = [int(text.replace(",", "")) for text in sys.argv[1:]] or list(TILES)
    names = ("Maploop", "without intervals", "pycocotools")
    print(f"{'tiles (features)':<20}" + "".join(f"{name + ', s (CPU), MB':>32}{'AP50':>7}" for name in names))
    spent: list[list[float]] = []
    for tiles in sizes:
        measured = [_in_fresh_process(each, tiles) for each in (by_maploop, without_intervals, by_pycocotools)]
        cells = [
            f"{f'{each.seconds:.2f} ({each.processor:.2f}), {each.peak:.0f}':>32}{each.precision:>7.3f}"
            for each in measured
        ]
        print(f"{f'{tiles:,} ({tiles * A_TILE * 2:,})':<20}" + "".join(cells), flush=True)
        spent.append([each.processor / tiles for each in measured])
    if len(sizes) > 1:
        growth = [last / first for first, last in zip(spent[0], spent[-1], strict=True)]
        print(f"{'growth a feature':<20}" + "".join(f"{each:>32.2f}{'':>7}" for each in growth))
    wanted = WANTED_SECONDS * max(sizes[-1] / 10_000, 0.1)
    sys.exit(0 if spent[-1][0] * sizes[-1] <= wanted else 1)


def scene(tiles: int) -> tuple[Side, Side]:
    """Roundish outlines of 20 to 50 pixels in a loose grid; of the predictions most are near a truth, some are not."""
    generator = np.random.default_rng(tiles)
    count = tiles * A_TILE
    tile = np.repeat(np.arange(tiles), A_TILE)
    place = np.tile(np.arange(A_TILE), tiles)
    middles = np.column_stack([place % 5, place // 5]) * (SIDE / 5) + generator.uniform(45, 57, (count, 2))
    reach = generator.uniform(20, 40, (count, 1)) * generator.uniform(0.9, 1.1, (count, len(_CORNERS)))
    directions = np.column_stack([np.cos(_CORNERS), np.sin(_CORNERS)])
    class_index = generator.integers(0, len(CLASSES), count)
    truth = Side(middles[:, None] + reach[..., None] * directions, class_index, tile, np.full(count, np.nan))
    error = generator.exponential(6, (count, 1))
    moved = np.clip(middles + error * generator.normal(size=(count, 2)), 45, SIDE - 45)
    blurred = reach * generator.uniform(0.9, 1.1, reach.shape)
    guessed = np.where(generator.random(count) < 0.9, class_index, generator.integers(0, len(CLASSES), count))
    scores = 1 / (1 + error[:, 0] / 6) * generator.uniform(0.7, 1, count)
    return truth, Side(moved[:, None] + blurred[..., None] * directions, guessed, tile, scores)


def without_intervals(tiles: int) -> tuple[float, float, float]:
    """Seconds, those of the processor and AP50, of all tiles as one block."""
    return by_maploop(tiles, offset=32)


def by_maploop(tiles: int, offset: int = 2) -> tuple[float, float, float]:
    """Seconds, those of the processor and AP50."""
    truth, predictions = scene(tiles)
    columns = int(np.ceil(np.sqrt(tiles)))

    def on_ground(side: Side) -> Geometries:
        x = FIRST.x + (side.tile % columns)[:, None] + side.rings[..., 0] / SIDE
        y = FIRST.y + (side.tile // columns)[:, None] + side.rings[..., 1] / SIDE
        return as_geometries(shapely.polygons(np.stack(degrees_of(x, y, FIRST.z), axis=-1)))

    grounds = on_ground(truth), on_ground(predictions)
    started = _now()
    layers = [
        whole_layer(geometries, side.class_index, side.tile, side.scores)
        for geometries, side in zip(grounds, (truth, predictions), strict=True)
    ]
    evaluation = evaluate(layers[0], layers[1], CLASSES, tiles, Rules(), blocks=_blocks(tiles, columns, offset))
    seconds, processor = _since(started)
    return seconds, processor, evaluation.overall.figures["ap50"].value or 0.0


def _blocks(tiles: int, columns: int, offset: int) -> NDArray[np.int64]:
    """The block of each tile, a square of 2 ** `offset` tiles."""
    place = np.arange(tiles)
    return np.asarray((place // columns >> offset) * columns + (place % columns >> offset), dtype=np.int64)


def by_pycocotools(tiles: int) -> tuple[float, float, float]:
    """Seconds, those of the processor and AP50, of masks made from the outlines."""
    from pycocotools.coco import COCO  # noqa: PLC0415
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415

    def document(side: Side) -> Any:
        annotations = [
            {
                "id": number + 1,
                "image_id": int(side.tile[number]),
                "category_id": int(side.class_index[number]),
                "segmentation": [ring.ravel().tolist()],
                "area": 1000.0,
                "iscrowd": 0,
                "score": float(side.scores[number]),
            }
            for number, ring in enumerate(side.rings)
        ]
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image, "width": SIDE, "height": SIDE} for image in range(tiles)],
            "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES)],
            "annotations": annotations,
        }
        return coco

    with contextlib.redirect_stdout(Path(os.devnull).open("w", encoding="utf-8")):
        documents = [document(side) for side in scene(tiles)]
        started = _now()
        for each in documents:
            each.createIndex()
        reference = COCOeval(*documents, "segm")
        reference.params.areaRng, reference.params.areaRngLbl = [[0, 1e10]], ["all"]
        reference.params.maxDets = [100]
        reference.evaluate()
        reference.accumulate()
        seconds, processor = _since(started)
    return seconds, processor, float(np.mean(reference.eval["precision"][0]))


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: tuple[float, float]) -> tuple[float, float]:
    clock, processor = _now()
    return clock - started[0], processor - started[1]


def _in_fresh_process(measured: Any, tiles: int) -> Measured:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (measured, tiles))


def _measure(measured: Any, tiles: int) -> Measured:
    seconds, processor, precision = measured(tiles)
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    return Measured(seconds, processor, int(status[status.index("VmHWM:") + 1]) / 1024, precision)


if __name__ == "__main__":
    main()
