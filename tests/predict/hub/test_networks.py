"""Networks as they are asked: with less at a time where memory is short, and told what they must be told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maploop.errors import InputError
from maploop.predict.hub.areas import Images
from maploop.predict.hub.loading import open_network
from tests.predict.hub.ground import WHY, painted

torch = pytest.importorskip("torch", reason=WHY)
pytest.importorskip("transformers", reason=WHY)

Tiny = Callable[[str], Path]
PICTURES = [painted(seed)[0] for seed in range(5)]


def test_a_batch_too_large_for_the_memory_is_asked_in_halves() -> None:
    from maploop.predict.hub.networks import in_halves

    asked: list[int] = []

    def ask(images: Images) -> list[float]:
        asked.append(len(images))
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [float(image.mean()) for image in images]

    assert in_halves(ask, PICTURES) == [float(image.mean()) for image in PICTURES]
    assert asked == [5, 2, 3, 1, 2]


def test_a_window_too_large_for_the_memory_is_said_so() -> None:
    from maploop.predict.hub.networks import in_halves

    def ask(_: Images) -> list[float]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(InputError, match="too little memory for one window"):
        in_halves(ask, PICTURES)


def test_a_size_that_the_network_cannot_take_is_said_so() -> None:
    from maploop.predict.hub.networks import in_halves

    def ask(_: Images) -> list[float]:
        raise RuntimeError("shape mismatch\nat line 7")

    with pytest.raises(InputError, match=r"cannot look at windows of 64 pixels \(shape mismatch\)\."):
        in_halves(ask, PICTURES)


def test_probabilities_of_pixels_add_up_and_what_was_not_named_is_background(tiny: Tiny) -> None:
    from maploop.predict.hub.networks import SemanticNetwork

    network = SemanticNetwork(open_network(tiny("pixels"), "semantic"), {1: 0}, 1)
    image, labels = painted(3, 128)
    (planes,) = network.planes([image], 128)
    assert planes.shape == (2, 128, 128)
    right = (planes.argmax(0) == 1) == (labels == 1)
    assert right.mean() > 0.9
    assert np.median(planes.astype(int).sum(0)) == pytest.approx(255, abs=3)


@pytest.mark.parametrize("task", ["semantic", "instance"])
def test_a_oneformer_is_told_its_task(tiny: Tiny, task: str) -> None:
    from maploop.predict.hub.networks import MaskNetwork, SemanticNetwork

    if task == "semantic":
        planes = SemanticNetwork(open_network(tiny("told"), "semantic"), {0: 0, 1: 1}, 2).planes(PICTURES[:2], 32)
        assert planes.shape == (2, 3, 32, 32)
    else:
        found = MaskNetwork(open_network(tiny("told"), "instance"), {0: "house"}, 0).things(PICTURES[:2])
        assert len(found) == 2
        assert {thing.class_name for things in found for thing in things} <= {"house"}


def test_what_a_processor_would_cut_away_is_looked_at_too(tiny: Tiny) -> None:
    from transformers import BeitImageProcessorPil

    from maploop.predict.hub.networks import SemanticNetwork

    whole, half = {"height": 128, "width": 128}, {"height": 64, "width": 64}
    opened = open_network(tiny("pixels"), "semantic")
    cutting = BeitImageProcessorPil(
        size=whole, crop_size=half, do_center_crop=True, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    image, labels = painted(3, 128)
    (planes,) = SemanticNetwork(replace(opened, processor=cutting), {1: 0}, 1).planes([image], 128)
    assert ((planes.argmax(0) == 1) == (labels == 1)).mean() > 0.9
