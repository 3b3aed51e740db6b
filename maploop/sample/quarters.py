"""Blocks that are not homes: school, market, depot, building site, fields, park and pond."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Polygon

from maploop.sample import clutter, roofs
from maploop.sample.ground import Ground
from maploop.sample.noise import Noise
from maploop.sample.plots import HABITS, Plot, build_house, place, plant, plots_of, settle, turned
from maploop.sample.sketch import Colour, Layer, Sketch, rectangle
from maploop.sample.streets import Block, Network, Street


@dataclass(frozen=True)
class Quarter:
    """A block about to be furnished, and where what is put there goes."""

    sketch: Sketch
    network: Network
    block: Block
    ground: Ground
    rng: np.random.Generator

    @property
    def whole(self) -> Plot:
        """The block as one plot."""
        centre, out, along = self.network.bend.frame((self.block.low + self.block.high) / 2)
        depth, length = self.block.high - self.block.low
        return Plot(centre, out, along, float(depth) * 0.94, float(length) * 0.94)

    def bare(self, colour: Colour) -> None:
        """Sweep the whole block."""
        self.sketch.fill_all(Layer.SOIL, self.block.outline.buffer(-1.0), colour)

    def scatter(self, **things: int) -> None:
        """Put that many of each thing wherever there is room."""
        for thing, count in things.items():
            for _ in range(count):
                place(self.sketch, self.ground, self.whole, self.rng, thing)

    def enclose(self, colour: Colour, height: float) -> None:
        """A wall around the block."""
        clutter.wall(self.sketch, LineString(self.block.outline.exterior.coords).simplify(0.3), colour, height=height)

    def plant(self, count: int) -> None:
        """Grow trees."""
        plant(self.sketch, self.ground, self.whole.ring, count, self.rng)


def furnish(quarter: Quarter, use: str) -> None:
    """Furnish a block for one of `USES`."""
    USES[use](quarter)


def _school(quarter: Quarter) -> None:
    quarter.bare((184, 146, 110))
    whole, rng = quarter.whole, quarter.rng
    yard = whole.at(0.0, 0.24)
    if quarter.ground.take(Polygon(rectangle(yard, whole.along, 31, 18)), 1.0):
        clutter.court(quarter.sketch, yard, whole.along, rng)
    for side, shift in ((-0.36, -0.1), (0.36, -0.1), (0.0, -0.4)):
        direction, reach = (whole.along, whole.frontage * 0.5) if side else (whole.out, whole.depth * 0.6)
        body = roofs.Body(whole.at(side, shift), direction, min(38.0, reach), 8.0, 3.4)
        material = "painted" if rng.random() < 0.5 else "tin"
        build_house(quarter.sketch, quarter.ground, body, "gable", material, rng)
    quarter.enclose((196, 188, 174), 1.7)
    quarter.scatter(car=3, tank=2, heap=1)
    quarter.plant(12)


def _market(quarter: Quarter) -> None:
    quarter.bare((188, 158, 128))
    whole = quarter.whole
    for row in np.arange(-0.4, 0.41, 4.6 / whole.depth):
        for column in np.arange(-0.44, 0.45, 4.4 / whole.frontage):
            _stall(quarter, whole.at(row, column), whole.along)
    quarter.scatter(tank=3, car=4, container=2)
    quarter.plant(5)


def _stall(quarter: Quarter, spot: NDArray[np.float64], along: NDArray[np.float64]) -> None:
    draw = quarter.rng.random()
    if draw < 0.2 or not quarter.ground.take(shapely.Point(spot).buffer(1.9, 4), 0.1):
        return
    if draw < 0.6:
        tilted = turned(along, float(quarter.rng.normal(0, 0.06)))
        clutter.tarpaulin(quarter.sketch, spot, tilted, quarter.rng)
    elif draw < 0.85:
        clutter.parasol(quarter.sketch, spot, quarter.rng)
    else:
        clutter.heap(quarter.sketch, spot, quarter.rng)


def _depot(quarter: Quarter) -> None:
    quarter.bare((170, 150, 128))
    whole, rng = quarter.whole, quarter.rng
    length, width = min(34.0, whole.frontage * 0.42), min(17.0, whole.depth * 0.4)
    hall = roofs.Body(whole.at(-0.2, -0.2), whole.along, length, width, 7.0)
    build_house(quarter.sketch, quarter.ground, hall, "gable", "tin", rng)
    for row in np.arange(-0.4, 0.42, 3.4 / whole.depth):
        spot = whole.at(row, 0.32)
        if rng.random() < 0.75 and quarter.ground.take(Polygon(rectangle(spot, whole.along, 12.4, 2.6)), 0.2):
            clutter.container(quarter.sketch, spot, whole.along, rng)
    quarter.enclose((170, 164, 156), 2.2)
    quarter.scatter(car=9, container=5, tarpaulin=4, heap=5, tank=3)


def _works(quarter: Quarter) -> None:
    quarter.bare((186, 148, 112))
    whole, rng = quarter.whole, quarter.rng
    for _ in range(5):
        spot = whole.at(rng.uniform(-0.38, 0.38), rng.uniform(-0.4, 0.4))
        along = turned(whole.along, float(rng.normal(0, 0.05)))
        if quarter.ground.take(Polygon(rectangle(spot, along, 13, 10)), 0.5):
            clutter.bare_slab(quarter.sketch, spot, along, rng)
    for plot in plots_of(quarter.block, quarter.network.bend, HABITS["suburb"].frontage, rng)[::3]:
        settle(quarter.sketch, quarter.ground, plot, HABITS["suburb"], rng)
    quarter.scatter(heap=9, tarpaulin=4, container=2, car=2, tank=2)
    quarter.plant(6)


def _fields(quarter: Quarter) -> None:
    """Strips of crops, a farmstead in the corner, trees along the edges."""
    whole, rng = quarter.whole, quarter.rng
    farm = Plot(whole.at(0.3, 0.34), whole.out, whole.along, whole.depth * 0.4, whole.frontage * 0.3)
    settle(quarter.sketch, quarter.ground, farm, HABITS["edge"], rng)
    start = -0.5
    while start < 0.42:
        width = rng.uniform(0.12, 0.26)
        end = start + width - 0.02
        for low, high in ((-0.5, 0.06), (0.09, 0.5)):
            if high > 0.2 and end > 0.14:
                continue  # the farmstead's corner
            corners = np.array([whole.at(low, start), whole.at(low, end), whole.at(high, end), whole.at(high, start)])
            strip = quarter.ground.off_the_ways(Polygon(corners + rng.normal(0, 0.4, (4, 2))))
            clutter.crop_field(quarter.sketch, strip, whole.out, rng)
        start += width
    quarter.plant(14)


def _park(quarter: Quarter) -> None:
    """Grass, trees and two footpaths that cross."""
    low, high = quarter.block.low - 3.5, quarter.block.high + 3.5
    t = np.linspace(0, 1, 18)[:, None]
    for start, end in ((low, high), (np.array([low[0], high[1]]), np.array([high[0], low[1]]))):
        sway = 1.2 * np.sin(np.pi * t) * np.sin(t * quarter.rng.uniform(5, 9)) * quarter.whole.along
        line = LineString(quarter.network.bend(start + t * (end - start)) + sway)
        if quarter.network.wet.distance(line) > 3:
            street = Street(line, "foot", 1.5)
            quarter.network.streets.append(street)
            quarter.ground.close(street)
    quarter.plant(34)


def _pond(quarter: Quarter) -> None:
    whole, rng = quarter.whole, quarter.rng
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    uneven = 1 + 0.3 * Noise(int(rng.integers(1 << 30)), 1.1).at(3 * np.cos(angle), 3 * np.sin(angle))
    radius = min(whole.depth, whole.frontage) * 0.26 * uneven[:, None]
    reach = whole.out * np.cos(angle)[:, None] + whole.along * 1.5 * np.sin(angle)[:, None]
    pond = Polygon(whole.at(0, 0.1) + reach * radius)
    if quarter.ground.take(pond.buffer(2.0), 0.0):
        quarter.network.water.append(pond)
    quarter.plant(34)


USES: Final[dict[str, Callable[[Quarter], None]]] = {
    "school": _school,
    "market": _market,
    "park": _park,
    "depot": _depot,
    "works": _works,
    "pond": _pond,
    "fields": _fields,
}
