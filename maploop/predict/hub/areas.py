"""Networks as models of areas: a picture is looked at window by window, and what they say of it is put together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import rasterio.features
from numpy.typing import NDArray

from maploop.predict.drawing import PredictedFeature, draw, in_pixels, shapes_of
from maploop.predict.hub.parameters import HubParameters
from maploop.predict.hub.things import Thing, distinct, in_picture, joined
from maploop.predict.hub.windows import batches
from maploop.predict.outlines import tidy
from maploop.predict.pixels import CELL
from maploop.predict.whole_area import ReadWindow

Images = Sequence[NDArray[np.uint8]]  # RGB squares (side, side, 3), all of one size
_SMALLEST: Final = 4.0  # pixels: a thing of less is noise


class PixelNetwork(Protocol):
    """Says for each pixel how probable each class is."""

    def planes(self, images: Images, side: int) -> NDArray[np.uint8]:
        """Probabilities, 255 for certain, (images, 1 + classes, side, side); the first is the background."""
        ...


class ThingNetwork(Protocol):
    """Finds things, each with its area in pixels of the image."""

    def things(self, images: Images) -> Sequence[Sequence[Thing]]:
        """What is on each image."""
        ...


class PixelArea:
    """Draws what a network says of pixels."""

    def __init__(self, network: PixelNetwork, classes: Mapping[str, str], parameters: HubParameters) -> None:
        self.classes = dict(classes)
        self._network = network
        self._parameters = parameters

    def predict_area(
        self, read: ReadWindow, width: int, height: int, *, progress: Callable[[float], None] | None = None
    ) -> list[PredictedFeature]:
        """See `whole_area.AreaModel`. Kept for the picture is a byte a class for every cell."""
        probability = np.zeros((len(self.classes) + 1, -(-height // CELL), -(-width // CELL)), dtype=np.uint8)
        for some, images in batches(read, width, height, self._parameters, progress):
            planes = self._network.planes(images, self._parameters.side // CELL)
            for window, plane in zip(some, planes, strict=True):
                left, top, right, bottom = (-(-each // CELL) for each in window.core)
                x, y = window.left // CELL, window.top // CELL
                probability[:, top:bottom, left:right] = plane[:, top - y : bottom - y, left - x : right - x]
        found = draw(probability, self.classes, width, height)
        return [each for each in found if each.score >= self._parameters.threshold]


class ThingArea:
    """Tidies the things a network finds: polygons as they are, their middles for points, centre lines for lines."""

    def __init__(
        self, network: ThingNetwork, classes: Mapping[str, str], parameters: HubParameters, *, boxes: bool = False
    ) -> None:
        self.classes = dict(classes)
        self._network = network
        self._parameters = parameters
        self._boxes = boxes

    def predict_area(
        self, read: ReadWindow, width: int, height: int, *, progress: Callable[[float], None] | None = None
    ) -> list[PredictedFeature]:
        """See `whole_area.AreaModel`."""
        scale = self._parameters.side / self._parameters.window
        seen = []
        for some, images in batches(read, width, height, self._parameters, progress):
            for window, things in zip(some, self._network.things(images), strict=True):
                good = [each for each in things if each.score >= self._parameters.threshold]
                seen.append((window, in_picture(distinct(good), window, scale, width, height)))
        things = [each for each in joined(seen, boxes=self._boxes) if each.area.area >= _SMALLEST]
        found = []
        for name, kind in self.classes.items():
            own = [each for each in things if each.class_name == name]
            if kind == "line":
                found += _lines(name, own, width, height)
            elif kind == "point":
                found += [PredictedFeature(name, each.area.centroid, round(each.score, 4)) for each in own]
            else:
                for each in own:
                    outline = each.area if self._boxes else tidy(each.area)
                    found.append(PredictedFeature(name, outline, round(each.score, 4)))
        return found


def _lines(name: str, things: Sequence[Thing], width: int, height: int) -> list[PredictedFeature]:
    """Centre lines of all things of a class together: where they touch, lines go on."""
    if not things:
        return []
    share = rasterio.features.rasterize(
        [(each.area, each.score) for each in sorted(things, key=lambda each: each.score)],
        out_shape=(-(-height // CELL), -(-width // CELL)),
        transform=rasterio.Affine.scale(CELL),
        dtype="float32",
    )
    return [
        PredictedFeature(name, part, round(score, 4))
        for line, score in shapes_of(share > 0, share, "line")
        for part in in_pixels(line, width, height)
    ]
