"""Portraits of trees and bushes seen from above: bodies of leaves with real slopes under the same sun as the roofs."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from maploop.sample.sketch import SUN

KINDS: Final[dict[str, tuple[tuple[int, int, int], ...]]] = {
    "broadleaf": ((72, 98, 48), (84, 108, 52), (60, 88, 48), (98, 114, 58), (76, 92, 56)),
    "mango": ((50, 78, 42), (58, 84, 44), (46, 72, 44)),
    "bush": ((96, 112, 60), (80, 100, 54), (112, 118, 68)),
    "palm": ((96, 118, 62), (84, 108, 58)),
    "bloom": ((150, 88, 72), (160, 110, 150)),
}
VARIANTS: Final = 8
_RADIUS: Final = 56  # pixels of a portrait before it is scaled to the tree


@dataclass(frozen=True)
class Portrait:
    """Premultiplied colour (n, n, 3), cover (n, n) 0..1 and the radius in pixels that fills it; n = 2 * radius + 1."""

    colour: NDArray[np.float32]
    cover: NDArray[np.float32]


def _crown(rng: np.random.Generator, lobes: int, rough: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Height of the leaves in pixels and a brightness for each lobe, both (2r + 1, 2r + 1)."""
    y, x = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1].astype(np.float32)
    height = np.zeros_like(x)
    tone = np.ones_like(x)
    for _ in range(lobes):
        size = _RADIUS * rng.uniform(0.26, 0.46)
        away, angle = (_RADIUS - size) * np.sqrt(rng.uniform(0, 1)), rng.uniform(0, 2 * np.pi)
        lift = 0.55 * (_RADIUS - away)
        inside = size**2 - (x - away * np.cos(angle)) ** 2 - (y - away * np.sin(angle)) ** 2
        lobe = np.where(inside > 0, np.sqrt(np.maximum(inside, 0)) * 0.9 + lift, 0)
        tone = np.where(lobe > height, np.float32(rng.uniform(0.86, 1.14)), tone)
        height = np.maximum(height, lobe)
    leaves = ndimage.gaussian_filter(rng.standard_normal(x.shape).astype(np.float32), 2.2) * 2.2 * 4
    fine = ndimage.gaussian_filter(rng.standard_normal(x.shape).astype(np.float32), 1.0) * 2.0
    height = np.where(height > 0, height + rough * (leaves + fine) * 1.6, 0)
    ragged = height > 4 + 5 * np.maximum(leaves, 0)
    return np.where(ragged, height, 0).astype(np.float32), tone.astype(np.float32)


def _fronds(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, x = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1].astype(np.float32)
    radius, angle = np.hypot(x, y) / _RADIUS, np.arctan2(y, x)
    count, turn = int(rng.integers(7, 11)), rng.uniform(0, 7)
    leaf = np.abs(np.cos((angle * count + turn) / 2 + 0.6 * np.sin(angle * 3 + turn) * radius))
    inside = (radius < 0.96) & (leaf > 0.25 + 0.62 * radius**1.5)
    height = np.where(inside, _RADIUS * (0.8 - 0.6 * radius**2) + 7 * leaf, 0).astype(np.float32)
    return height, np.ones_like(height)


def portrait(kind: str, variant: int, seed: int) -> Portrait:
    """One of the `VARIANTS` portraits of a kind, lit, at full size."""
    rng = np.random.default_rng([seed, 5, list(KINDS).index(kind), variant])
    if kind == "palm":
        height, tone = _fronds(rng)
    else:
        height, tone = _crown(rng, {"broadleaf": 26, "mango": 40, "bush": 12, "bloom": 22}[kind], 1.0)
    smooth = ndimage.gaussian_filter(height, 1.2)
    down, right = np.gradient(smooth)
    cosine = (SUN[2] - right * SUN[0] - down * SUN[1]) / np.sqrt(1 + right**2 + down**2)
    deep = np.clip(smooth / (ndimage.gaussian_filter(height, 9) + 4), 0.55, 1.25)
    light = (0.30 + 0.72 * np.clip(cosine, 0, 1)) * tone * deep
    base = np.asarray(KINDS[kind][variant % len(KINDS[kind])], dtype=np.float32)
    cool = np.array([0.96, 1.0, 1.02], dtype=np.float32)
    warm = np.array([1.06, 1.02, 0.86], dtype=np.float32)
    colour = base * light[..., None] * np.where(light[..., None] > 0.95, warm, cool)
    cover = (height > 0).astype(np.float32)
    return Portrait((colour * cover[..., None]).astype(np.float32), cover)


def scaled(original: Portrait, radius: int) -> Portrait:
    """The portrait at another radius in pixels, by area averaging."""
    bands = np.concatenate([original.colour, original.cover[..., None]], axis=2)
    side = 2 * radius + 1
    small = [Image.fromarray(band).resize((side, side), Image.Resampling.BOX) for band in np.moveaxis(bands, 2, 0)]
    averaged = np.stack([np.asarray(band, dtype=np.float32) for band in small], axis=2)
    return Portrait(averaged[..., :3], averaged[..., 3])
