"""The drawing that a town's plan leaves behind: flat shapes by layer, trees, shadows and the truth.

Everything is in plan metres (x right, y down). The planners add to a `Sketch`; the painter only reads it.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry.base import BaseGeometry

Colour = tuple[float, float, float]
Ring = NDArray[np.float64]

SHADOW: Final = np.array([0.45, 0.6])  # metres of shadow on the ground for each metre of height: sun in the north-west
SUN: Final = np.array([-0.36, -0.48, 0.8])  # unit vector towards it (x, y, up)


class Layer(IntEnum):
    """Painted in this order; SOIL to PATH and WATER have soft edges, the others hard ones."""

    SOIL = 0
    DIRT = 1
    PATH = 2
    TRACK = 3
    BANK = 4
    WATER = 5
    GROUND = 6
    LOW = 7
    ROOF = 8


@dataclass(frozen=True, slots=True)
class Texture:
    """What a flat colour lacks: stripes `period` metres apart along `direction`, and stains of a second colour."""

    direction: tuple[float, float] = (1.0, 0.0)
    period: float = 1.0
    depth: float = 0.0
    stain: Colour = (0.0, 0.0, 0.0)
    stained: float = 0.0  # 0 is none, 1 is nearly all


PLAIN: Final = Texture()


@dataclass(frozen=True, slots=True)
class Shape:
    """One filled ring (n, 2)."""

    layer: Layer
    ring: Ring
    colour: Colour
    texture: Texture = PLAIN


@dataclass(frozen=True, slots=True)
class Tree:
    """Something with leaves: where, how wide (radius), what kind (see `trees.KINDS`) and which of its portraits."""

    x: float
    y: float
    radius: float
    kind: str
    variant: int


@dataclass(frozen=True, slots=True)
class TruthFeature:
    """One feature that is really there."""

    class_name: str
    geometry: BaseGeometry
    properties: dict[str, str]


@dataclass
class Sketch:
    """What has been planned so far."""

    shapes: list[Shape] = field(default_factory=list)
    low_shadows: list[tuple[Ring, Ring]] = field(default_factory=list)  # shadow, and the footprint that lies above it
    tall_shadows: list[Ring] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    truth: list[TruthFeature] = field(default_factory=list)

    def fill(self, layer: Layer, ring: Ring, colour: Colour, texture: Texture = PLAIN) -> None:
        """Fill a ring (n, 2)."""
        self.shapes.append(Shape(layer, ring, colour, texture))

    def fill_all(self, layer: Layer, area: BaseGeometry, colour: Colour, texture: Texture = PLAIN) -> None:
        """Fill the polygons of a geometry; holes are ignored, what must stay open is cut apart before."""
        for part in shapely.get_parts(area):
            if part.geom_type == "Polygon" and not part.is_empty:
                self.fill(layer, shapely.get_coordinates(part.exterior), colour, texture)

    def raise_low(self, ring: Ring, height: float, colour: Colour, texture: Texture = PLAIN) -> None:
        """Fill something that stands on the ground but may itself lie in the shadow of a house."""
        self.low_shadows.append((swept(ring, height), ring))
        self.fill(Layer.LOW, ring, colour, texture)

    def add_truth(self, class_name: str, geometry: BaseGeometry, **properties: str) -> None:
        """State that a feature is there."""
        self.truth.append(TruthFeature(class_name, geometry, properties))


def swept(ring: Ring, height: float, ridge: Ring | None = None, ridge_height: float = 0.0) -> Ring:
    """The shadow of a convex body of one `height`, with an optional higher ridge, as one convex ring."""
    points = [ring, ring + SHADOW * height]
    if ridge is not None:
        points.append(ridge + SHADOW * ridge_height)
    return shapely.get_coordinates(shapely.convex_hull(shapely.multipoints(np.concatenate(points))))


def rectangle(centre: ArrayLike, along: NDArray[np.float64], length: float, width: float) -> Ring:
    """Four corners of a rectangle whose `length` lies along the unit vector `along`."""
    u, v = along * length / 2, np.array([-along[1], along[0]]) * width / 2
    corners: Ring = np.array([u + v, u - v, -u - v, v - u])
    return np.asarray(corners + np.asarray(centre))


def disc(centre: ArrayLike, radius: float, corners: int = 20) -> Ring:
    """A circle as a ring."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.asarray(np.column_stack([np.cos(angle), np.sin(angle)]) * radius + np.asarray(centre))


def unit(angle: float) -> NDArray[np.float64]:
    """The unit vector at an angle in radians."""
    return np.array([np.cos(angle), np.sin(angle)])


def shaded(colour: Colour, shade: float) -> Colour:
    """A colour under more or less light."""
    red, green, blue = (min(255.0, max(0.0, channel * shade)) for channel in colour)
    return red, green, blue


def varied(colour: Colour, rng: np.random.Generator, amount: float = 0.08) -> Colour:
    """The same paint from another tin: a little brighter or darker, a little off in hue."""
    factor = 1 + rng.normal(0, amount) + rng.normal(0, amount / 6, 3)
    red, green, blue = np.clip(np.asarray(colour) * factor, 0, 255)
    return float(red), float(green), float(blue)
