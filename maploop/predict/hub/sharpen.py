"""Another model's polygons, cut out of the pixels anew: their boxes are the prompts of a network of the SAM kind."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from maploop.imagery.tilemath import Tile, from_pixels, to_pixels
from maploop.predict.hub.things import area_of, iou
from maploop.predict.outlines import tidy
from maploop.predict.predictor import Assignment, Failure, FoundFeature, Outcome, Usage
from maploop.predict.whole_area import picture_of

Earlier = Callable[[Sequence[Tile]], Mapping[Tile, Sequence[FoundFeature]]]
"""What the other model found on tiles, each feature where its middle is; tiles it has not predicted are not there."""

_AGREES: Final = 0.3  # IoU with the outline it had that a sharper one must keep: else it is of something else
_MARGIN: Final = 4.0  # pixels around a box: outlines are often a little too small
_SMALLEST: Final = 4.0  # pixels
_TILES_AT_ONCE: Final = 16


class Prompted(Protocol):
    """Cuts out what boxes hold."""

    def in_boxes(
        self, image: NDArray[np.uint8], boxes: Sequence[tuple[float, float, float, float]]
    ) -> Sequence[tuple[NDArray[np.bool_], float]]:
        """The mask (h, w) of the thing in each box (left, top, right, bottom in pixels), and how good it is, 0 to 1."""
        ...


class SharpeningPredictor:
    """Says what another model said, with sharper outlines; a feature whose mask is no good keeps the one it had.

    `prompt_hash` stands for what that model has said so far: when it has predicted anew, there is something new to ask.
    """

    def __init__(
        self, network: Prompted, earlier: Earlier, class_names: Collection[str], prompt_hash: str, threshold: float
    ) -> None:
        self.class_names = list(class_names)
        self.prompt_hash = prompt_hash
        self._network = network
        self._earlier = earlier
        self._threshold = threshold

    def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
        """Tile after tile; see `predictor.Predictor`."""
        for start in range(0, len(assignment.tiles), _TILES_AT_ONCE):
            some = assignment.tiles[start : start + _TILES_AT_ONCE]
            earlier = self._earlier(some)
            for tile in some:
                if assignment.stopped():
                    return
                yield [self._outcome(assignment, tile, earlier.get(tile))]

    def _outcome(self, assignment: Assignment, tile: Tile, earlier: Sequence[FoundFeature] | None) -> Outcome:
        if earlier is None:
            return Outcome(tile, failure=Failure("waiting", "The model to be sharpened has not predicted this tile."))
        if not earlier:
            return Outcome(tile)
        started = time.perf_counter()
        picture = picture_of(assignment, [tile])
        features = tuple(earlier)
        if tile not in picture.failures and picture.rgb.size:
            shapes = [
                translate(to_pixels(each.geometry, tile, assignment.size), -picture.left, -picture.top)
                for each in earlier
            ]
            sharper = self._sharper(picture.rgb, shapes)
            features = tuple(
                before
                if geometry is None
                else FoundFeature(
                    before.class_name,
                    from_pixels(translate(geometry, picture.left, picture.top), tile, assignment.size),
                    before.score,
                )
                for before, geometry in zip(earlier, sharper, strict=True)
            )
        failure = picture.failures.get(tile)
        usage = Usage(seconds=time.perf_counter() - started)
        return Outcome(tile, () if failure else features, failure, usage=usage)

    def _sharper(self, image: NDArray[np.uint8], shapes: Sequence[BaseGeometry]) -> list[BaseGeometry | None]:
        """New outlines in pixels, None where the old one stays: also where it is not on the picture as a whole."""
        height, width = image.shape[:2]
        frame = shapely.box(0, 0, width, height)
        found: list[BaseGeometry | None] = [None] * len(shapes)
        asked = [index for index, shape in enumerate(shapes) if frame.contains(shape.envelope)]
        boxes = [
            (max(0, x0 - _MARGIN), max(0, y0 - _MARGIN), min(width, x1 + _MARGIN), min(height, y1 + _MARGIN))
            for x0, y0, x1, y1 in (shapes[index].bounds for index in asked)
        ]
        for index, (mask, quality) in zip(asked, self._network.in_boxes(image, boxes) if boxes else (), strict=True):
            area = area_of(mask) if quality >= self._threshold else None
            if area is not None and area.area >= _SMALLEST and iou(area, shapes[index]) >= _AGREES:
                found[index] = tidy(area)
        return found
