"""Plots and houses: how people of each district build, fence, plant and park."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from maploop.sample import clutter, roofs
from maploop.sample.ground import Ground
from maploop.sample.sketch import Layer, Ring, Sketch, Tree, disc, rectangle, varied
from maploop.sample.streets import Bend, Block
from maploop.sample.trees import VARIANTS

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Habit:
    """How a district is built; ranges in metres, the rest are chances or weights."""

    frontage: tuple[float, float]
    house: tuple[tuple[float, float], tuple[float, float]]  # length, width
    setback: tuple[float, float]
    tilt: float  # radians
    roof: dict[str, float]
    material: dict[str, float]
    height: tuple[float, float]
    annexes: float
    wing: float
    fence: float
    tank: float
    car: float
    trees: float
    yard: float  # how much of the plot is bare soil
    green: float  # 0 bare, 1 lush


HABITS: Final = {
    "centre": Habit(
        frontage=(14, 22), house=((10, 18), (9, 15)), setback=(0.6, 2.0), tilt=0.02, height=(4, 8.5),
        roof={"flat": 0.62, "gable": 0.24, "hip": 0.14}, material={"tin": 0.5, "painted": 0.3, "rusty": 0.2},
        annexes=1.3, wing=0.1, fence=0.3, tank=0.3, car=0.9, trees=1.2, yard=0.75, green=0.34,
    ),
    "informal": Habit(
        frontage=(8.5, 13), house=((6, 10), (4.6, 7)), setback=(0.6, 4.0), tilt=0.10, height=(2.3, 3.0),
        roof={"gable": 0.5, "shed": 0.42, "hip": 0.08}, material={"tin": 0.46, "rusty": 0.38, "painted": 0.16},
        annexes=2.6, wing=0.08, fence=0.18, tank=0.15, car=0.1, trees=1.1, yard=0.7, green=0.42,
    ),
    "suburb": Habit(
        frontage=(17, 24), house=((10, 15), (8, 11)), setback=(4.5, 8.0), tilt=0.03, height=(3, 6),
        roof={"hip": 0.56, "gable": 0.32, "flat": 0.12}, material={"tile": 0.5, "painted": 0.3, "tin": 0.2},
        annexes=0.9, wing=0.4, fence=0.8, tank=0.42, car=0.6, trees=4.2, yard=0.3, green=0.72,
    ),
    "edge": Habit(
        frontage=(24, 40), house=((8, 12), (6, 8)), setback=(5, 12), tilt=0.25, height=(2.4, 3.0),
        roof={"gable": 0.55, "hut": 0.3, "hip": 0.15}, material={"tin": 0.55, "rusty": 0.3, "painted": 0.15},
        annexes=0.9, wing=0.05, fence=0.1, tank=0.2, car=0.1, trees=3.4, yard=0.3, green=0.86,
    ),
}  # fmt: skip


def choose(weights: dict[str, float], rng: np.random.Generator) -> str:
    """One key, by weight."""
    names = list(weights)
    shares = np.array([weights[name] for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]


@dataclass(frozen=True)
class Plot:
    """One plot: the middle, the unit vectors towards the street and along it, depth and frontage in metres."""

    centre: Vector
    out: Vector
    along: Vector
    depth: float
    frontage: float

    def at(self, towards_street: float, sideways: float) -> Vector:
        """A place of the plot, both shares running from -0.5 to 0.5."""
        return self.centre + self.out * self.depth * towards_street + self.along * self.frontage * sideways

    @property
    def ring(self) -> Ring:
        """The four corners."""
        return rectangle(self.centre, self.along, self.frontage, self.depth)


def plots_of(block: Block, bend: Bend, frontage: tuple[float, float], rng: np.random.Generator) -> list[Plot]:
    """Two rows of plots back to back, each facing its street."""
    depth = (block.high[0] - block.low[0]) / 2
    plots = []
    for side in (-1.0, 1.0):
        u = block.low[0] + depth / 2 if side < 0 else block.high[0] - depth / 2
        v = block.low[1]
        while v < block.high[1] - frontage[0] * 0.6:
            width = min(rng.uniform(*frontage), block.high[1] - v)
            centre, across, along = bend.frame(np.array([u, v + width / 2]))
            plots.append(Plot(centre, across * side, along, depth * 0.96, width))
            v += width
    return plots


def turned(vector: Vector, angle: float) -> Vector:
    """A vector rotated by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])


def build_house(
    sketch: Sketch,
    ground: Ground,
    body: roofs.Body,
    kind: str,
    material: str,
    rng: np.random.Generator,
    wing: bool = False,
) -> bool:
    """Put up one building with its truth, unless the place is taken."""
    if kind == "hut":
        radius = float(rng.uniform(2.2, 3.2))
        hut = Polygon(disc(body.centre, radius))
        if not ground.take(hut, 0.8):
            return False
        roofs.round_hut(sketch, body.centre, radius, roofs.pick("thatch", rng))
        sketch.add_truth("building", hut, roof="hut", material="thatch")
        return True
    outline: BaseGeometry = Polygon(body.ring)
    arm: roofs.Body | None = None
    if wing and kind in ("gable", "hip"):
        width = body.width * float(rng.uniform(0.6, 0.8))
        reach = float(rng.uniform(2.5, 4.5))
        side = 1.0 if rng.random() < 0.5 else -1.0
        end = 1.0 if rng.random() < 0.5 else -1.0
        middle = body.centre + body.along * end * (body.length - width) / 2 + body.across * side * reach / 2
        arm = roofs.Body(middle, body.across, body.width + reach, width, body.height)
        outline = shapely.union(outline, Polygon(arm.ring))
    if not ground.take(outline, 0.35):
        return False
    colour = roofs.pick("concrete" if kind == "flat" else material, rng)
    if kind == "flat":
        roofs.flat(sketch, body, colour, rng)
    elif kind == "shed":
        roofs.shed(sketch, body, material, colour, rng)
    else:
        if arm is not None:
            roofs.pitched(sketch, arm, material, colour, kind == "hip", rng)
        roofs.pitched(sketch, body, material, colour, kind == "hip", rng)
    sketch.add_truth("building", outline, roof=kind, material="concrete" if kind == "flat" else material)
    return True


def settle(sketch: Sketch, ground: Ground, plot: Plot, habit: Habit, rng: np.random.Generator) -> None:
    """Build, fence, plant and furnish one plot."""
    _yard(sketch, ground, plot, habit, rng)
    kind, material = choose(habit.roof, rng), choose(habit.material, rng)
    (short, long), (narrow, wide) = habit.house
    length = min(rng.uniform(short, long), max(plot.frontage - 1.6, short * 0.7))
    width = min(rng.uniform(narrow, wide), plot.depth * 0.7)
    if kind == "shed":
        length, width = length * 0.85, width * 0.85
    tilt = turned(plot.along, float(rng.normal(0, habit.tilt)))
    setback = rng.uniform(*habit.setback)
    sideways = rng.uniform(-0.5, 0.5) * max(0.0, plot.frontage - length - 1.4)
    if width > length:
        tilt, length, width = turned(tilt, np.pi / 2), width, length
    height, wing = float(rng.uniform(*habit.height)), rng.random() < habit.wing
    for share in (1.0, 0.8, 0.6):  # on tight plots people build what fits
        centre = plot.at(0.5, 0) - plot.out * (setback + share * width / 2) + plot.along * sideways
        body = roofs.Body(centre, tilt, length * share, width * share, height)
        if build_house(sketch, ground, body, kind, material, rng, wing=wing and share == 1.0):
            break
    for _ in range(int(rng.poisson(habit.annexes))):
        _annexe(sketch, ground, plot, habit, material, rng)
    if rng.random() < habit.tank:
        place(sketch, ground, plot, rng, "tank")
    for _ in range(int(rng.poisson(habit.car))):
        place(sketch, ground, plot, rng, "car")
    extras = ("tarpaulin", "washing", "heap", "container", "parasol")
    shares = (0.22, 0.3, 0.28, 0.06, 0.14)
    for _ in range(int(rng.poisson(0.9))):
        place(sketch, ground, plot, rng, extras[int(rng.choice(5, p=shares))])
    if rng.random() < habit.fence:
        _fence(sketch, ground, plot, rng)
    plant(sketch, ground, plot.ring, int(rng.poisson(habit.trees)), rng)


def _yard(sketch: Sketch, ground: Ground, plot: Plot, habit: Habit, rng: np.random.Generator) -> None:
    """Swept soil around the house; the rest stays grass."""
    if rng.random() < habit.yard + 0.25:
        share = 0.55 + 0.45 * rng.random()
        ring = rectangle(
            plot.at(0.5 - share / 2, 0), plot.along, plot.frontage * rng.uniform(0.7, 1.0), plot.depth * share
        )
        sketch.fill(Layer.SOIL, ring, varied((190, 152, 116), rng, 0.05))
    if habit.green > 0.5 and rng.random() < 0.18:
        garden = Polygon(rectangle(plot.at(-0.3, 0), plot.along, plot.frontage * 0.7, plot.depth * 0.26))
        clutter.crop_field(sketch, ground.off_the_ways(garden), plot.along, rng)


def _annexe(sketch: Sketch, ground: Ground, plot: Plot, habit: Habit, material: str, rng: np.random.Generator) -> None:
    """A kitchen, shed or rented room behind the house, more often than not under tin."""
    small = 0.55 if habit.frontage[0] > 12 else 0.75
    length = rng.uniform(*habit.house[0]) * small * rng.uniform(0.6, 1.0)
    width = min(length, rng.uniform(2.6, 5.0))
    if material == "tile":
        material = "rusty" if rng.random() < 0.4 else "tin"
    kind = "shed" if rng.random() < 0.65 else "gable"
    for _ in range(4):
        along = turned(plot.along, float(rng.normal(0, habit.tilt)) + (np.pi / 2 if rng.random() < 0.5 else 0.0))
        body = roofs.Body(plot.at(rng.uniform(-0.46, 0.2), rng.uniform(-0.42, 0.42)), along, length, width, 2.3)
        if build_house(sketch, ground, body, kind, material, rng):
            return


def place(sketch: Sketch, ground: Ground, plot: Plot, rng: np.random.Generator, thing: str) -> bool:
    """Put one thing somewhere free in the plot; False when four tries found no room."""
    reach = {"tank": 1.8, "car": 2.6, "tarpaulin": 2.6, "washing": 2.2, "heap": 2.0, "container": 4.2, "parasol": 1.7}[
        thing
    ]
    for _ in range(6 if thing == "tank" else 4):
        spot = plot.at(rng.uniform(-0.45, 0.45), rng.uniform(-0.44, 0.44))
        along = plot.out if rng.random() < 0.6 else plot.along
        along = turned(along, float(rng.normal(0, 0.12)))
        if not ground.take(shapely.Point(spot).buffer(reach, 4), 0.2):
            continue
        if thing == "tank":
            clutter.water_tank(sketch, spot, rng)
        elif thing == "car":
            clutter.car(sketch, spot, along, rng)
        elif thing == "tarpaulin":
            clutter.tarpaulin(sketch, spot, along, rng)
        elif thing == "washing":
            clutter.washing_line(sketch, spot - along * 1.6, along, rng)
        elif thing == "heap":
            clutter.heap(sketch, spot, rng)
        elif thing == "container":
            clutter.container(sketch, spot, along, rng)
        else:
            clutter.parasol(sketch, spot, rng)
        return True
    return False


def _fence(sketch: Sketch, ground: Ground, plot: Plot, rng: np.random.Generator) -> None:
    """A wall round the plot with a gate towards the street, or a hedge."""
    a, b, c, d = plot.ring
    if (a - plot.centre) @ plot.out < 0:
        a, b, c, d = c, d, a, b
    if (b - plot.centre) @ plot.out > 0:
        a, b, c, d = b, c, d, a
    gate = float(rng.uniform(0.2, 0.7))
    line = LineString([a + (d - a) * gate, a, b, c, d, a + (d - a) * min(gate + 3.2 / plot.frontage, 0.95)])
    kept = ground.off_the_ways(line)
    if rng.random() < 0.25:
        for point in shapely.get_coordinates(shapely.segmentize(kept, 1.3)):
            x, y = point + rng.normal(0, 0.15, 2)
            sketch.trees.append(Tree(x, y, rng.uniform(0.7, 1.0), "bush", int(rng.integers(VARIANTS))))
        return
    tone = varied(((186, 178, 166), (158, 118, 94), (206, 200, 188))[int(rng.integers(3))], rng)
    clutter.wall(sketch, kept, tone)


def plant(sketch: Sketch, ground: Ground, ring: Ring, count: int, rng: np.random.Generator) -> None:
    """Grow trees and bushes inside a four-cornered ring, where they hide little of what is built."""
    tries = rng.uniform(0, 1, (count * 3, 2))
    a, b, _, d = ring
    points = a + tries[:, :1] * (b - a) + tries[:, 1:] * (d - a)
    grown = 0
    for point, room in zip(points, ground.distance(points), strict=True):
        if grown == count:
            return
        if room < 0.7:
            continue
        kind = choose({"broadleaf": 0.42, "mango": 0.2, "bush": 0.24, "palm": 0.1, "bloom": 0.04}, rng)
        widest = {"broadleaf": 4.6, "mango": 5.2, "bush": 1.5, "palm": 3.0, "bloom": 2.8}[kind]
        radius = min(float(widest * rng.uniform(0.5, 1.0)), room + 0.9)
        if radius > 0.6:
            sketch.trees.append(Tree(float(point[0]), float(point[1]), radius, kind, int(rng.integers(VARIANTS))))
            grown += 1
