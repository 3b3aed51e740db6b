"""Models at the server that are not perfect: one that sees badly, and one that has learnt from a training file."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tests.vendor.pictures import picture_hash
from tests.vendor.state import Brain, Question
from tests.vendor.training import lessons

UNITS = 999  # of the dialect openai, across a picture
INVENTED = 5
_LEAST = 100  # pixels of a house


def half_blind(answers: Mapping[str, str]) -> Brain:
    """Sees every other feature of the right answer to a picture; without examples before it, invents some, too."""

    def brain(question: Question) -> str:
        features = orjson.loads(answers[question.picture or ""])["features"][::2]
        if len(question.pictures) == 1:
            features += [_house(place * 190, 0, place * 190 + 18, 18) for place in range(INVENTED)]
        return orjson.dumps({"features": features}).decode()

    return brain


def taught(lines: Sequence[Any]) -> Brain:
    """Knows from its training file which colour houses have and which the ground, and outlines what looks like one."""
    inside, outside = [], []
    for picture, answer in lessons(lines):
        pixels = _pixels(picture)
        is_house = np.zeros(pixels.shape[:2], dtype=np.bool_)
        for feature in orjson.loads(answer)["features"]:
            (left, top), (right, bottom) = (
                np.round(f(np.array(feature["points"]), axis=0) * len(pixels) / UNITS).astype(int)
                for f in (np.min, np.max)
            )
            is_house[top:bottom, left:right] = True
        inside.append(pixels[is_house].mean(axis=0))
        outside.append(pixels[~is_house].mean(axis=0))
    house, ground = np.mean(inside, axis=0), np.mean(outside, axis=0)

    def brain(question: Question) -> str:
        pixels = _pixels(question.pictures[-1])
        near = np.linalg.norm(pixels - house, axis=2) < np.linalg.norm(pixels - ground, axis=2)
        scale = UNITS / len(pixels)
        features = [
            _house(*(round(edge * scale) for edge in (across.start, down.start, across.stop, down.stop)))
            for down, across in ndimage.find_objects(ndimage.label(near)[0])
            if (down.stop - down.start) * (across.stop - across.start) >= _LEAST
        ]
        return orjson.dumps({"features": features}).decode()

    return brain


def watched(brain: Brain, asked: list[tuple[str, list[str]]]) -> Brain:
    """Writes down who was asked with which pictures, by their hashes; the last one is asked about."""

    def watching(question: Question) -> Any:
        asked.append((question.model, [picture_hash(each) for each in question.pictures]))
        return brain(question)

    return watching


def _house(left: int, top: int, right: int, bottom: int) -> dict[str, Any]:
    points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return {"class": "building", "geometry": "polygon", "points": points, "holes": []}


def _pixels(picture: bytes) -> NDArray[np.float64]:
    with Image.open(io.BytesIO(picture)) as image:
        return np.asarray(image, dtype=np.float64)
