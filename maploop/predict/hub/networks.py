"""Networks of the transformers library as `areas` asks them: classes of pixels, masks of things, boxes of things."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from PIL import Image

from maploop.errors import InputError
from maploop.predict.hub.areas import Images
from maploop.predict.hub.extra import one_line
from maploop.predict.hub.loading import Opened
from maploop.predict.hub.things import Thing, area_of

Answer = TypeVar("Answer")

_MASK: Final = 0.5  # probability from which a pixel belongs to a mask


def in_halves(ask: Callable[[Images], list[Answer]], images: Images) -> list[Answer]:
    """Ask for all images at once, or for fewer at a time where memory does not suffice. Raises InputError."""
    try:
        with torch.inference_mode():
            return ask(images)
    except torch.OutOfMemoryError as error:
        if len(images) == 1:
            msg = (
                "The graphics card has too little memory for one window: give the model a smaller one, or --device cpu."
            )
            raise InputError(msg) from error
    except RuntimeError as error:
        msg = f"The network cannot look at windows of {images[0].shape[0]} pixels ({one_line(error)})."
        raise InputError(msg) from error
    half = len(images) // 2
    return in_halves(ask, images[:half]) + in_halves(ask, images[half:])


class _Network:
    def __init__(self, opened: Opened, task_word: str) -> None:
        self._network = opened.network
        self._processor = opened.processor
        self._device = opened.device
        self._told = {"task_inputs": [task_word]} if opened.config.model_type == "oneformer" else {}
        if getattr(self._processor, "do_center_crop", False):
            self._processor.do_center_crop = False  # what is cut away would not be looked at

    def _outputs(self, images: Images) -> tuple[Any, tuple[float, float]]:
        """What the network says, and the share of its rows and columns that the images fill: the rest is padding."""
        told = {key: value * len(images) for key, value in self._told.items()}
        inputs = self._processor(images=[Image.fromarray(each) for each in images], return_tensors="pt", **told)
        share = (1.0, 1.0)
        if "pixel_mask" in inputs:
            mask = inputs["pixel_mask"][0].float()
            share = (float(mask.amax(1).mean()), float(mask.amax(0).mean()))
        known = {key: value.to(self._device) for key, value in inputs.items() if isinstance(value, torch.Tensor)}
        return self._network(**known), share


class SemanticNetwork(_Network):
    """Says for each pixel how probable each class is; `numbers`: label number -> place of its class, from 0."""

    def __init__(self, opened: Opened, numbers: Mapping[int, int], classes: int) -> None:
        super().__init__(opened, "semantic")
        self._numbers = dict(numbers)
        self._classes = classes

    def planes(self, images: Images, side: int) -> NDArray[np.uint8]:
        """See `areas.PixelNetwork`."""

        def ask(some: Images) -> list[Any]:
            outputs, share = self._outputs(some)
            return [self._planes(self._labels(outputs, index, share, side)) for index in range(len(some))]

        return np.stack(in_halves(ask, images))

    def _labels(self, outputs: Any, index: int, share: tuple[float, float], side: int) -> torch.Tensor:
        """Probabilities of all labels on one image, (labels, side, side)."""
        if getattr(outputs, "masks_queries_logits", getattr(outputs, "pred_masks", None)) is None:
            logits = _scaled(outputs.logits[index], share, side)
            return logits.sigmoid() if len(logits) == 1 else logits.softmax(0)
        probability, masks = _queries(outputs, index, labels=None)
        scores = torch.einsum("ql,qhw->lhw", probability, _scaled(masks, share, side).sigmoid())
        return scores / scores.sum(0).clamp(min=1)  # queries that overlap add up to more than certainty

    def _planes(self, labels: torch.Tensor) -> NDArray[np.uint8]:
        planes = torch.zeros((self._classes + 1, *labels.shape[1:]), device=labels.device)
        for label, place in self._numbers.items():
            planes[place + 1] += labels[label]
        others = [label for label in range(len(labels)) if label not in self._numbers]
        planes[0] = (1 - labels.sum(0)).clamp(0)
        if others:
            planes[0] = torch.maximum(planes[0], labels[others].amax(0))
        return np.asarray((planes.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy(), dtype=np.uint8)


class MaskNetwork(_Network):
    """Finds things with their masks; `classes`: label number -> class name."""

    def __init__(self, opened: Opened, classes: Mapping[int, str], threshold: float) -> None:
        super().__init__(opened, "instance")
        self._labels = opened.config.num_labels
        self._classes = dict(classes)
        self._threshold = threshold

    def things(self, images: Images) -> Sequence[Sequence[Thing]]:
        """See `areas.ThingNetwork`. The score is the label's, times the mask's mean probability."""

        def ask(some: Images) -> list[list[Thing]]:
            outputs, share = self._outputs(some)
            return [self._things(outputs, index, share, some[index].shape[0]) for index in range(len(some))]

        return in_halves(ask, images)

    def _things(self, outputs: Any, index: int, share: tuple[float, float], side: int) -> list[Thing]:
        probability, masks = _queries(outputs, index, labels=self._labels)
        scores, labels = probability.max(1)
        found = []
        for query in torch.nonzero(scores >= self._threshold).flatten().tolist():
            name = self._classes.get(int(labels[query]))
            if name is None:
                continue
            mask = _scaled(masks[query : query + 1], share, side)[0].sigmoid()
            inside = mask > _MASK
            area = area_of(inside.cpu().numpy())
            if area is not None:
                found.append(Thing(name, float(scores[query] * mask[inside].mean()), area))
        return found


class BoxNetwork(_Network):
    """Finds things with their boxes; `classes`: label number -> class name."""

    def __init__(self, opened: Opened, classes: Mapping[int, str], threshold: float) -> None:
        super().__init__(opened, "detection")
        self._classes = dict(classes)
        self._threshold = threshold

    def things(self, images: Images) -> Sequence[Sequence[Thing]]:
        """See `areas.ThingNetwork`."""

        def ask(some: Images) -> list[list[Thing]]:
            outputs, _ = self._outputs(some)
            sizes = [each.shape[:2] for each in some]
            found = self._processor.post_process_object_detection(
                outputs, threshold=self._threshold, target_sizes=sizes
            )
            return [
                [
                    Thing(self._classes[label], score, shapely.box(*box))
                    for box, label, score in zip(
                        each["boxes"].tolist(), each["labels"].tolist(), each["scores"].tolist(), strict=True
                    )
                    if label in self._classes and box[0] < box[2] and box[1] < box[3]
                ]
                for each in found
            ]

        return in_halves(ask, images)


def _queries(outputs: Any, index: int, labels: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Of one image: probabilities of labels (queries, labels), without that of nothing, and logits of masks."""
    if (logits := getattr(outputs, "class_queries_logits", None)) is not None:
        return logits[index].softmax(1)[:, :-1], outputs.masks_queries_logits[index]
    logits, masks = outputs.logits[index], outputs.pred_masks[index]
    nothing = labels is None or logits.shape[1] == labels + 1
    return (logits.softmax(1)[:, :-1] if nothing else logits.sigmoid()), masks


def _scaled(planes: torch.Tensor, share: tuple[float, float], side: int) -> torch.Tensor:
    """Planes (n, h, w) without their padding, at another size."""
    rows, columns = (max(1, round(part * length)) for part, length in zip(share, planes.shape[1:], strict=True))
    part = planes[None, :, :rows, :columns].float()
    return torch.nn.functional.interpolate(part, size=(side, side), mode="bilinear", align_corners=False)[0]
