"""The whole town on paper: streets and water first, then every block by what it is used for."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from shapely import LineString, Polygon

from maploop.sample.ground import Ground, StreetIndex
from maploop.sample.noise import Noise
from maploop.sample.place import PIXEL
from maploop.sample.plots import HABITS, plots_of, settle
from maploop.sample.quarters import Quarter, furnish
from maploop.sample.sketch import Sketch, TruthFeature
from maploop.sample.streets import Block, Network, Street, plan_network
from maploop.sample.ways import draw_ways

_SPECIAL: Final = ("school", "market", "park", "depot", "works", "pond")
_BLOCKS_FOR_EACH: Final = 20  # of so many blocks, one is each of the special uses
_GRID: Final = 0.001  # metres: corners closer than this are one, or outlines may cross themselves in degrees
_GREEN: Final = {
    "school": 0.5,
    "market": 0.05,
    "park": 0.85,
    "depot": 0.05,
    "works": 0.15,
    "fields": 0.8,
    "pond": 0.9,
}


@dataclass(frozen=True)
class Plan:
    """A town ready to be painted: `size` pixels a side, plan metres throughout; how green each block is, 0 to 1."""

    seed: int
    size: int
    sketch: Sketch
    greenness: list[tuple[Polygon, float]]

    @property
    def truth(self) -> list[TruthFeature]:
        """Features clipped to the picture, in plan metres; slivers left by its edge are dropped."""
        extent = self.size * PIXEL
        picture = shapely.box(0, 0, extent, extent)
        found = []
        for feature in self.sketch.truth:
            for part in shapely.get_parts(shapely.intersection(feature.geometry, picture, grid_size=_GRID)):
                enough = {"Polygon": part.area > 3.0, "LineString": part.length > 3.0, "Point": True}
                if not part.is_empty and enough.get(part.geom_type, False):
                    found.append(TruthFeature(feature.class_name, part, feature.properties))
        return found


def plan_town(seed: int, size: int) -> Plan:
    """Lay out the town that belongs to a seed and a size in pixels."""
    network = plan_network(seed, size * PIXEL)
    sketch = Sketch()
    index = StreetIndex(network)
    greenness: list[tuple[Polygon, float]] = []
    for block, use in _with_uses(network, seed):
        habit = HABITS[block.district]
        rng = np.random.default_rng([seed, 6, block.column, block.row])
        ground = Ground(index.near(block.outline.buffer(6)))
        greenness.append((block.outline, _GREEN.get(use, habit.green)))
        if use != "homes":
            furnish(Quarter(sketch, network, block, ground, rng), use)
            continue
        if rng.random() < 0.6:
            _lay_alley(network, block, ground, rng)
        for plot in plots_of(block, network.bend, habit.frontage, rng):
            settle(sketch, ground, plot, habit, rng)
    draw_ways(sketch, network, seed)
    return Plan(seed, size, sketch, greenness)


def _with_uses(network: Network, seed: int) -> list[tuple[Block, str]]:
    """Homes nearly everywhere; special uses are spread from the middle outwards, fields lie at the edge."""
    rng = np.random.default_rng([seed, 8])
    middle = shapely.Point(network.extent / 2, network.extent / 2)
    outwards = sorted(network.blocks, key=lambda block: block.outline.centroid.distance(middle))
    uses = {}
    for start in range(0, len(outwards), _BLOCKS_FOR_EACH):
        group = outwards[start : start + _BLOCKS_FOR_EACH]
        for use, chosen in zip(_SPECIAL, rng.permutation(len(group)), strict=False):
            uses[group[chosen].column, group[chosen].row] = use
    wet = network.wet.buffer(2)
    listed = []
    for block in network.blocks:
        use = uses.get((block.column, block.row), "homes")
        draw = np.random.default_rng([seed, 9, block.column, block.row]).random()
        if use in ("pond", "school", "depot") and wet.intersects(block.outline):
            use = "park"
        elif use == "homes" and block.district == "edge" and draw < 0.45:
            use = "fields"
        listed.append((block, use))
    return listed


def _lay_alley(network: Network, block: Block, ground: Ground, rng: np.random.Generator) -> None:
    """A footpath through the block, from one street to the other, as people walk it."""
    start = rng.uniform(0.25, 0.75) * (block.high[1] - block.low[1]) + block.low[1]
    end = start + rng.normal(0, 5)
    t = np.linspace(0, 1, 16)
    wiggle = 1.6 * Noise(int(rng.integers(1 << 30)), 0.22).at(t, np.zeros_like(t)) * np.sin(np.pi * t)
    u = block.low[0] - 3.5 + t * (block.high[0] - block.low[0] + 7.0)
    line = LineString(network.bend(np.column_stack([u, start + t * (end - start) + wiggle])))
    if network.wet.distance(line) < 3:
        return
    street = Street(line, "foot", float(rng.uniform(1.1, 1.5)))
    network.streets.append(street)
    ground.close(street)
