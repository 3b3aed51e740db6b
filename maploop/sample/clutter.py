"""What stands between the houses: cars, tanks, walls, stalls, and much that looks like a building and is none."""

from itertools import pairwise
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point
from shapely.geometry.base import BaseGeometry

from maploop.sample.sketch import (
    SUN,
    Colour,
    Layer,
    Ring,
    Sketch,
    Texture,
    disc,
    rectangle,
    shaded,
    swept,
    varied,
)

_CARS: Final[tuple[Colour, ...]] = (
    (226, 226, 224), (206, 208, 210), (64, 66, 70), (128, 132, 138), (150, 44, 40), (52, 76, 120), (196, 184, 150),
)  # fmt: skip
_BOXES: Final[tuple[Colour, ...]] = ((158, 74, 52), (62, 94, 130), (84, 112, 92), (176, 172, 164), (196, 146, 60))
_TARPS: Final[tuple[Colour, ...]] = ((62, 110, 178), (60, 132, 110), (214, 214, 208), (196, 92, 70), (226, 176, 74))
_TANKS: Final[tuple[Colour, ...]] = ((44, 46, 52), (44, 46, 52), (52, 54, 58), (58, 92, 150))


def _one_of(colours: tuple[Colour, ...], rng: np.random.Generator, amount: float = 0.07) -> Colour:
    return varied(colours[int(rng.integers(len(colours)))], rng, amount)


def car(sketch: Sketch, centre: NDArray[np.float64], along: NDArray[np.float64], rng: np.random.Generator) -> Ring:
    """A parked car, or now and then a van; returns its outline."""
    length, width = rng.uniform(4.0, 4.8), rng.uniform(1.7, 1.9)
    van = rng.random() < 0.2
    colour = _one_of(_CARS, rng)
    across = np.array([-along[1], along[0]])
    nose = np.array(
        [[0.5, 0.32], [0.44, 0.5], [-0.46, 0.5], [-0.5, 0.4], [-0.5, -0.4], [-0.46, -0.5], [0.44, -0.5], [0.5, -0.32]]
    )
    body: Ring = np.asarray(centre + nose[:, :1] * length * along + nose[:, 1:] * width * across)
    sketch.raise_low(body, 1.2, colour)
    glass = (44, 50, 58)
    spots = ((0.16, 0.13), (-0.34, 0.08)) if not van else ((0.3, 0.1),)
    for at, depth in spots:
        sketch.fill(Layer.LOW, rectangle(centre + along * length * at, along, length * depth, width * 0.82), glass)
    roof = rectangle(centre + along * length * (-0.1 if not van else -0.12), along, length * 0.34, width * 0.78)
    sketch.fill(Layer.LOW, roof, shaded(colour, 1.12))
    return body


def container(
    sketch: Sketch, centre: NDArray[np.float64], along: NDArray[np.float64], rng: np.random.Generator
) -> Ring:
    """A shipping container: as long as a hut, ribbed like a tin roof, and no building."""
    ring = rectangle(centre, along, 12.2 if rng.random() < 0.4 else 6.1, 2.44)
    colour = _one_of(_BOXES, rng)
    sketch.raise_low(ring, 2.6, colour, Texture((float(along[0]), float(along[1])), 0.6, 0.08, (110, 84, 66), 0.2))
    return ring


def tarpaulin(
    sketch: Sketch, centre: NDArray[np.float64], along: NDArray[np.float64], rng: np.random.Generator
) -> Ring:
    """A sagging sheet over a heap or a stall: four uneven corners and a fold."""
    length, width = rng.uniform(2.6, 5.5), rng.uniform(2.2, 3.6)
    ring = rectangle(centre, along, length, width) + rng.normal(0, 0.22, (4, 2))
    colour = _one_of(_TARPS, rng)
    sketch.raise_low(ring, 1.6, colour, Texture(stain=shaded(colour, 0.75), stained=0.35))
    half = np.array([ring[0], ring[1], (ring[1] + ring[2]) / 2, (ring[3] + ring[0]) / 2])
    sketch.fill(Layer.LOW, half, shaded(colour, 1.13))
    return ring


def parasol(sketch: Sketch, centre: NDArray[np.float64], rng: np.random.Generator) -> None:
    """A market umbrella in two colours: round like a tank, but striped."""
    radius = float(rng.uniform(1.0, 1.5))
    rim = disc(centre, radius, 8)
    colour = _one_of(_TARPS, rng)
    sketch.raise_low(rim, 2.0, colour)
    for first in range(0, 8, 2):
        outward = (rim[first] + rim[first + 1]) / 2 - centre
        facing = float(outward @ SUN[:2]) / radius
        sketch.fill(
            Layer.LOW, np.array([centre, rim[first], rim[first + 1]]), shaded((228, 222, 210), 0.92 + 0.3 * facing)
        )


def water_tank(sketch: Sketch, centre: NDArray[np.float64], rng: np.random.Generator) -> Ring:
    """A plastic tank on a stand, with its lid and the sun on its shoulder: a point of interest of the truth."""
    radius = float(rng.uniform(0.95, 1.35))
    colour = _one_of(_TANKS, rng, 0.05)
    stand = rectangle(centre, np.array([1.0, 0.0]), radius * 2.5, radius * 2.5)
    sketch.tall_shadows.append(swept(disc(centre, radius), 4.0))
    sketch.fill(Layer.GROUND, stand, (168, 160, 150))
    sketch.fill(Layer.ROOF, disc(centre, radius), shaded(colour, 0.8))
    sketch.fill(Layer.ROOF, disc(centre + SUN[:2] * radius * 0.2, radius * 0.84), shaded(colour, 1.15))
    sketch.fill(Layer.ROOF, disc(centre + SUN[:2] * radius * 0.75, radius * 0.3), shaded((170, 176, 186), 1.0))
    sketch.fill(Layer.ROOF, disc(centre, radius * 0.32), shaded(colour, 1.5))
    sketch.add_truth("water_tank", Point(centre), colour="black" if colour[2] < 90 else "blue")
    return disc(centre, radius * 1.4)


def bare_slab(
    sketch: Sketch, centre: NDArray[np.float64], along: NDArray[np.float64], rng: np.random.Generator
) -> Ring:
    """The floor of a house not yet built, with the lines of its first bricks."""
    length, width = rng.uniform(7, 12), rng.uniform(6, 9)
    ring = rectangle(centre, along, length, width)
    sketch.fill(Layer.GROUND, ring, varied((176, 170, 162), rng), Texture(stain=(150, 132, 112), stained=0.45))
    if rng.random() < 0.6:
        across = np.array([-along[1], along[0]])
        for direction, span, reach in ((across, width, along * length), (along, length, across * width)):
            for at in (-0.5, float(rng.uniform(-0.2, 0.2)), 0.5):
                middle, half = centre + reach * at, direction * span / 2
                wall(sketch, LineString([middle - half, middle + half]), (158, 116, 92), 0.25, 0.8)
    return ring


def court(sketch: Sketch, centre: NDArray[np.float64], along: NDArray[np.float64], rng: np.random.Generator) -> Ring:
    """A basketball court: a big, flat, painted rectangle."""
    length, width = 28.0, 15.0
    across = np.array([-along[1], along[0]])
    outer = rectangle(centre, along, length + 3, width + 3)
    sketch.fill(Layer.GROUND, outer, varied((126, 138, 120), rng, 0.04), Texture(stain=(150, 142, 126), stained=0.3))
    inner = rectangle(centre, along, length, width)
    sketch.fill(Layer.GROUND, inner, varied((160, 88, 70), rng, 0.05), Texture(stain=(142, 92, 78), stained=0.3))
    white = (226, 222, 212)
    for side in (-0.5, 0.0, 0.5):
        sketch.fill(Layer.GROUND, rectangle(centre + along * length * side, along, 0.16, width), white)
    for side in (-0.5, 0.5):
        sketch.fill(Layer.GROUND, rectangle(centre + across * width * side, along, length, 0.16), white)
        lane = rectangle(centre + along * (length * side - np.sign(side) * 2.9), along, 5.8, 4.9)
        sketch.fill(Layer.GROUND, lane, (92, 112, 134))
    rim = shapely.LinearRing(disc(centre, 1.8, 24)).buffer(0.08)
    for half in (shapely.box(-1e6, -1e6, centre[0], 1e6), shapely.box(centre[0], -1e6, 1e6, 1e6)):
        sketch.fill_all(Layer.GROUND, rim.intersection(half), white)
    return outer


def wall(sketch: Sketch, line: BaseGeometry, colour: Colour, width: float = 0.24, height: float = 1.7) -> None:
    """A wall or fence along a line; its thin shadow is what one sees first."""
    for part in shapely.get_parts(line):
        corners = shapely.get_coordinates(part)
        for start, end in pairwise(corners):
            span = end - start
            length = float(np.hypot(*span))
            if length > 0.2:
                ring = rectangle((start + end) / 2, span / length, length + width, width)
                sketch.raise_low(ring, height, colour)


def washing_line(
    sketch: Sketch, centre: NDArray[np.float64], along: NDArray[np.float64], rng: np.random.Generator
) -> None:
    """Clothes to dry: a row of small bright rectangles."""
    for step in range(int(rng.integers(3, 7))):
        at = centre + along * (step * 0.8)
        colour = _one_of((*_TARPS, (232, 228, 220), (200, 120, 140)), rng)
        sketch.raise_low(rectangle(at, along, rng.uniform(0.4, 0.75), 0.3), 1.2, colour)


def heap(sketch: Sketch, centre: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Sand, gravel or bricks dropped in a yard: a lit and a dark side."""
    radius = float(rng.uniform(0.9, 2.2))
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    reach = radius * (1 + rng.normal(0, 0.12, 14))
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) * reach[:, None] + centre
    colour = _one_of(((196, 178, 148), (158, 152, 146), (160, 104, 80)), rng)
    sketch.raise_low(ring, radius * 0.5, shaded(colour, 0.8), Texture(stain=shaded(colour, 1.1), stained=0.4))
    sketch.fill(Layer.LOW, (ring - centre) * 0.7 + centre + SUN[:2] * radius * 0.4, shaded(colour, 1.12))


def crop_field(sketch: Sketch, area: BaseGeometry, direction: NDArray[np.float64], rng: np.random.Generator) -> None:
    """A garden or field in rows: young, ripe or freshly tilled."""
    colour, stain, depth = (
        ((112, 128, 66), (146, 118, 84), 0.2),
        ((92, 116, 58), (76, 98, 50), 0.16),
        ((138, 106, 80), (120, 90, 68), 0.12),
        ((168, 152, 96), (142, 132, 82), 0.1),
    )[int(rng.integers(4))]
    across = (-float(direction[1]), float(direction[0]))
    texture = Texture(across, float(rng.uniform(0.8, 1.5)), depth, stain, float(rng.uniform(0.2, 0.6)))
    sketch.fill_all(Layer.GROUND, area, varied(colour, rng, 0.06), texture)
