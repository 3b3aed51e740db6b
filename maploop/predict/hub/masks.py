"""Networks of the SAM kind: a box or a point of an image in, the mask of what is there out."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from maploop.predict.hub.areas import Images
from maploop.predict.hub.loading import Opened
from maploop.predict.hub.networks import in_halves
from maploop.predict.hub.things import Thing, area_of

Box = tuple[float, float, float, float]
Mask = tuple[NDArray[np.bool_], float]

_AT_ONCE: Final = 32  # prompts: their masks are as large as the image
_LARGEST: Final = 0.8  # of the image: what covers more is its ground


class PromptedNetwork:
    """Cuts out what is asked for."""

    def __init__(self, opened: Opened) -> None:
        self._network = opened.network
        self._processor = opened.processor
        self._device = opened.device

    def in_boxes(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> list[Mask]:
        """The mask (h, w) of the thing in each box (left, top, right, bottom in pixels), and how good it says it is."""

        def ask(images: Images) -> list[list[Mask]]:
            return [list(self._masks(images[0], input_boxes=[[list(box) for box in boxes]]))]

        return in_halves(ask, [image])[0] if boxes else []

    def at_points(self, image: NDArray[np.uint8], points: Sequence[tuple[float, float]]) -> list[Mask]:
        """The best mask of a thing at each point, and how good it says it is."""

        def ask(images: Images) -> list[list[Mask]]:
            return [list(self._masks(images[0], input_points=[[[list(point)] for point in points]]))]

        return in_halves(ask, [image])[0]

    def _masks(self, image: NDArray[np.uint8], **prompts: Any) -> Iterator[Mask]:
        inputs = self._processor(images=Image.fromarray(image), return_tensors="pt", **prompts)
        kind = next(iter(prompts))
        where = inputs[kind].float()
        embedding = self._network.get_image_embeddings(inputs["pixel_values"].to(self._device))
        for start in range(0, where.shape[1], _AT_ONCE):
            some = where[:, start : start + _AT_ONCE].to(self._device)
            answer = self._network(image_embeddings=embedding, multimask_output=kind == "input_points", **{kind: some})
            quality, best = answer.iou_scores[0].max(1)
            chosen = answer.pred_masks[0][torch.arange(len(best)), best][None, :, None]
            (masks,) = self._processor.image_processor.post_process_masks(
                list(chosen.cpu()), inputs["original_sizes"], inputs["reshaped_input_sizes"]
            )
            for mask, score in zip(masks[:, 0].numpy(), quality.tolist(), strict=True):
                yield np.asarray(mask, dtype=np.bool_), min(max(float(score), 0.0), 1.0)


class EverythingNetwork:
    """Finds whatever stands out, of one class: what is at the points of a grid."""

    def __init__(self, prompted: PromptedNetwork, class_name: str, points: int, threshold: float) -> None:
        self._prompted = prompted
        self._class_name = class_name
        self._points = points
        self._threshold = threshold

    def things(self, images: Images) -> Sequence[Sequence[Thing]]:
        """See `areas.ThingNetwork`."""
        return [list(self._things(image)) for image in images]

    def _things(self, image: NDArray[np.uint8]) -> Iterator[Thing]:
        steps = (np.arange(self._points) + 0.5) / self._points * image.shape[0]
        points = [(x, y) for y in steps.tolist() for x in steps.tolist()]
        for mask, score in self._prompted.at_points(image, points):
            if score >= self._threshold and 0 < mask.mean() <= _LARGEST and (area := area_of(mask)) is not None:
                yield Thing(self._class_name, score, area)
