"""Roofs: a footprint and a kind become lit planes, ridges, parapets and a cast shadow."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from maploop.sample.sketch import SHADOW, SUN, Colour, Layer, Ring, Sketch, Texture, rectangle, shaded, swept, varied

MATERIALS: Final[dict[str, tuple[Colour, ...]]] = {
    "tin": ((186, 192, 196), (168, 174, 180), (204, 206, 204), (150, 152, 152)),
    "rusty": ((164, 140, 122), (150, 118, 96), (172, 156, 142)),
    "painted": ((142, 62, 52), (70, 96, 130), (74, 112, 88), (120, 74, 58), (96, 116, 134)),
    "tile": ((182, 102, 74), (168, 90, 66), (192, 116, 86), (150, 86, 70)),
    "concrete": ((184, 180, 172), (168, 164, 158), (198, 192, 180)),
    "thatch": ((150, 128, 94), (134, 114, 86)),
}
_RUST: Final[Colour] = (128, 78, 52)
_GRIME: Final[Colour] = (112, 108, 100)


@dataclass(frozen=True)
class Body:
    """A rectangular house: centre, unit vector of the long side, length >= width, height of the eaves (metres)."""

    centre: NDArray[np.float64]
    along: NDArray[np.float64]
    length: float
    width: float
    height: float

    @property
    def ring(self) -> Ring:
        """The four corners of the roof as seen from above."""
        return rectangle(self.centre, self.along, self.length, self.width)

    @property
    def across(self) -> NDArray[np.float64]:
        """Unit vector of the short side."""
        return np.array([-self.along[1], self.along[0]])


def lit(downhill: NDArray[np.float64], pitch: float) -> float:
    """How bright a plane is against flat ground: Lambert's cosine law over a share of sky light."""
    cosine = float(downhill @ SUN[:2]) * np.sin(pitch) + SUN[2] * np.cos(pitch)
    return 0.32 + 0.68 * max(0.0, float(cosine)) / float(SUN[2])


def _cover(material: str, downhill: NDArray[np.float64], rng: np.random.Generator) -> Texture:
    """Sheets show seams down the slope, tiles show rows across it; age shows as stains."""
    sideways = (-float(downhill[1]), float(downhill[0]))
    if material == "tile":
        return Texture(
            (float(downhill[0]), float(downhill[1])), 0.42, 0.07, (110, 70, 56), float(rng.uniform(0.05, 0.3))
        )
    if material == "thatch":
        return Texture(sideways, 0.5, 0.08, (108, 92, 70), 0.35)
    age = {"tin": rng.uniform(0.0, 0.3), "rusty": rng.uniform(0.4, 0.75), "painted": rng.uniform(0.0, 0.25)}
    stain = _RUST if material in ("tin", "rusty") else (170, 160, 150)
    return Texture(sideways, float(rng.uniform(0.75, 1.1)), 0.055, stain, float(age.get(material, 0.1)))


def pick(material: str, rng: np.random.Generator) -> Colour:
    """One colour of a material."""
    colours = MATERIALS[material]
    return varied(colours[int(rng.integers(len(colours)))], rng, 0.06)


def _plane(
    sketch: Sketch,
    ring: Ring,
    downhill: NDArray[np.float64],
    pitch: float,
    colour: Colour,
    cover: Texture,
) -> None:
    shade = lit(downhill, pitch)
    stain = shaded(cover.stain, shade)
    texture = Texture(cover.direction, cover.period, cover.depth, stain, cover.stained)
    sketch.fill(Layer.ROOF, ring, shaded(colour, shade), texture)


def _ridge(sketch: Sketch, start: NDArray[np.float64], end: NDArray[np.float64], colour: Colour) -> None:
    span = end - start
    length = float(np.linalg.norm(span))
    if length > 0.3:
        sketch.fill(Layer.ROOF, rectangle((start + end) / 2, span / length, length, 0.28), shaded(colour, 1.12))


def pitched(sketch: Sketch, body: Body, material: str, colour: Colour, hipped: bool, rng: np.random.Generator) -> Ring:
    """A gable or hip roof; returns the ridge (2, 2)."""
    a, b, c, d = body.ring  # a and b are the far end, c and d the near one; a and d lie on the +across side
    pitch = float(rng.uniform(0.32, 0.55))
    inset = min(body.width / 2, body.length / 2 - 0.01) if hipped else 0.0
    half = body.along * (body.length / 2 - inset)
    far, near = body.centre + half, body.centre - half
    planes = [(np.array([d, a, far, near]), body.across), (np.array([b, c, near, far]), -body.across)]
    if hipped:
        planes += [(np.array([a, b, far]), body.along), (np.array([c, d, near]), -body.along)]
    for ring, downhill in planes:
        _plane(sketch, ring, downhill, pitch, colour, _cover(material, downhill, rng))
    _ridge(sketch, near, far, colour)
    if hipped and material == "tile":
        for corner, top in ((a, far), (b, far), (c, near), (d, near)):
            _ridge(sketch, corner, top, shaded(colour, 0.97))
    ridge = np.array([far, near])
    rise = body.width / 2 * float(np.tan(pitch))
    sketch.tall_shadows.append(swept(body.ring, body.height, ridge, body.height + rise))
    return ridge


def shed(sketch: Sketch, body: Body, material: str, colour: Colour, rng: np.random.Generator) -> None:
    """A single slope, the cheapest roof there is; sheets do not always match."""
    downhill = body.across if rng.random() < 0.5 else -body.across
    pitch = float(rng.uniform(0.08, 0.22))
    cover = _cover(material, downhill, rng)
    _plane(sketch, body.ring, downhill, pitch, colour, cover)
    if rng.random() < 0.4 and body.length > 4:
        share = float(rng.uniform(0.25, 0.5))
        patch = rectangle(
            body.centre + body.along * body.length * (0.5 - share / 2), body.along, body.length * share, body.width
        )
        _plane(sketch, patch, downhill, pitch, varied(colour, rng, 0.16), cover)
    sketch.tall_shadows.append(swept(body.ring, body.height))


def flat(sketch: Sketch, body: Body, colour: Colour, rng: np.random.Generator) -> None:
    """A concrete slab behind a parapet, with its own narrow shadow inside, stair head and air conditioners."""
    sketch.fill(Layer.ROOF, body.ring, shaded(colour, 1.1))
    inner = rectangle(body.centre, body.along, body.length - 0.7, body.width - 0.7)
    sketch.fill(Layer.ROOF, inner, shaded(colour, 0.58))
    shift = SHADOW * 0.9
    floor = shapely.intersection(Polygon(inner), Polygon(inner + shift))
    floor_colour = shaded(colour, float(rng.uniform(0.84, 0.98)))
    sketch.fill_all(Layer.ROOF, floor, floor_colour, Texture(stain=_GRIME, stained=float(rng.uniform(0.1, 0.5))))
    for _ in range(int(rng.integers(0, 4))):
        at = body.centre + body.along * rng.uniform(-0.38, 0.38) * body.length
        at = at + body.across * rng.uniform(-0.36, 0.36) * body.width
        size = float(rng.uniform(0.8, 1.5))
        box = rectangle(at, body.along, size * 1.3, size)
        sketch.fill(Layer.ROOF, swept(box, 0.9), shaded(floor_colour, 0.5))
        sketch.fill(Layer.ROOF, box, (206, 206, 202))
    if min(body.length, body.width) > 9 and rng.random() < 0.6:
        at = body.centre + body.along * 0.3 * body.length + body.across * 0.24 * body.width
        head = rectangle(at, body.along, 3.4, 2.8)
        sketch.fill_all(
            Layer.ROOF, shapely.intersection(Polygon(swept(head, 2.4)), Polygon(inner)), shaded(colour, 0.5)
        )
        sketch.fill(Layer.ROOF, head, shaded(colour, 1.12))
    sketch.tall_shadows.append(swept(body.ring, body.height + 0.8))


def round_hut(sketch: Sketch, centre: NDArray[np.float64], radius: float, colour: Colour) -> Ring:
    """A cone of thatch: sectors lit by where they face. Returns its outline."""
    angles = np.linspace(0, 2 * np.pi, 21)
    rim = np.column_stack([np.cos(angles), np.sin(angles)]) * radius + centre
    for start, end, angle in zip(rim, rim[1:], (angles[:-1] + angles[1:]) / 2, strict=False):
        outward = np.array([np.cos(angle), np.sin(angle)])
        ring = np.array([centre, start, end])
        texture = Texture((-float(outward[1]), float(outward[0])), 0.5, 0.08, (108, 92, 70), 0.3)
        _plane(sketch, ring, outward, 0.6, colour, texture)
    sketch.tall_shadows.append(swept(rim, 2.2, centre[None], 2.2 + radius * 0.7))
    return rim[:-1]
