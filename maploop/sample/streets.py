"""The skeleton of the town: a bent street grid, the river, and the blocks between.

Streets are straight in street coordinates (u, v) and curved on the ground: `Bend` rotates the grid and moves it by
smooth noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from maploop.sample.noise import Noise

MARGIN: Final = 40.0  # metres planned beyond the picture, so that its edge cuts through things as a real one does
DISTRICTS: Final = ("centre", "informal", "suburb", "edge")


class Bend:
    """Street coordinates -> plan metres: a rotation about the middle, then a smooth push of up to some 50 m."""

    def __init__(self, seed: int, extent: float) -> None:
        rng = np.random.default_rng([seed, 1])
        self.middle = np.array([extent / 2, extent / 2])
        angle = rng.uniform(0.15, 0.6)
        self.rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self._push = (Noise(seed * 7 + 1, 190.0), Noise(seed * 7 + 2, 190.0))

    def __call__(self, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (n, 2)."""
        push = np.column_stack([noise.at(uv[:, 0], uv[:, 1]) for noise in self._push])
        return np.asarray(self.middle + (uv + 58.0 * push) @ self.rotation.T)

    def frame(self, uv: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The place of one street coordinate, and the unit vectors across (u) and along (v) the streets there."""
        step = np.array([0.0, 4.0])
        place, ahead, back = self(np.array([uv, uv + step, uv - step]))
        along = (ahead - back) / np.linalg.norm(ahead - back)
        return place, np.array([along[1], -along[0]]), along


@dataclass(frozen=True)
class Street:
    """A stretch of road or footpath between two crossings or more."""

    line: LineString
    surface: str  # tarmac, dirt or foot
    width: float  # metres


@dataclass(frozen=True)
class Block:
    """The land between four streets, in street coordinates, already drawn back from the kerb."""

    column: int
    row: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    district: str
    outline: Polygon  # plan metres


@dataclass
class Network:
    """Streets, water and blocks of a town."""

    bend: Bend
    extent: float
    streets: list[Street] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    water: list[Polygon] = field(default_factory=list)
    towpaths: list[LineString] = field(default_factory=list)

    @property
    def wet(self) -> BaseGeometry:
        """All water as one geometry."""
        return shapely.union_all(self.water) if self.water else Polygon()


@dataclass(frozen=True)
class _GridLine:
    at: float
    surface: str
    width: float


def _grid_lines(rng: np.random.Generator, reach: float, spacing: tuple[float, float]) -> list[_GridLine]:
    lines, at, until_main = [], -reach, int(rng.integers(1, 3))
    while at < reach:
        if until_main == 0:
            lines.append(_GridLine(at, "tarmac", rng.uniform(7.0, 8.5)))
            until_main = int(rng.integers(2, 5))
        else:
            paved = rng.random() < 0.25
            lines.append(_GridLine(at, "tarmac" if paved else "dirt", rng.uniform(4.6, 6.0)))
        until_main -= 1
        at += rng.uniform(*spacing)
    return lines


def _rivers(seed: int, extent: float) -> Iterator[tuple[Polygon, LineString]]:
    """Each river as its water and the towpath along it: one about every 800 m, running from north to south."""
    rng = np.random.default_rng([seed, 2])
    sway, swell = Noise(seed * 7 + 3, 110.0), Noise(seed * 7 + 4, 40.0)
    y = np.arange(-MARGIN, extent + MARGIN + 5, 5.0)
    for at in np.arange(extent * rng.uniform(0.16, 0.3) if extent < 900 else 180.0, extent, 800.0):
        slant = rng.uniform(-0.25, 0.25)
        x = at + slant * (y - extent / 2) + 32 * sway.at(np.full_like(y, at), y)
        half = 6.0 + 1.8 * swell.at(np.full_like(y, at), y)
        water = np.concatenate([np.column_stack([x - half, y]), np.column_stack([x + half, y])[::-1]])
        yield Polygon(water).buffer(0), LineString(np.column_stack([x + half + 5.5 + 1.2 * swell.at(x, y), y]))


def _district(seed: int, place: NDArray[np.float64], extent: float, rng: np.random.Generator) -> str:
    """Denser towards the middle, by fits and starts."""
    far = float(np.linalg.norm(place - extent * np.array([0.55, 0.5]))) / min(extent, 900.0)
    wild = float(Noise(seed * 7 + 5, 120.0).at(place[:1], place[1:])[0])
    town = far + 0.10 * wild + rng.normal(0, 0.04)
    if town < 0.17:
        return "centre"
    if town > 0.60:
        return "edge" if rng.random() < 0.6 else "suburb"
    other = float(Noise(seed * 7 + 6, 130.0).at(place[:1], place[1:])[0])
    return "informal" if other > 0.02 else "suburb"


def plan_network(seed: int, extent: float) -> Network:
    """Streets, rivers and blocks of a town `extent` metres wide."""
    rng = np.random.default_rng([seed, 3])
    network = Network(Bend(seed, extent), extent)
    for water, towpath in _rivers(seed, extent):
        network.water.append(water)
        network.towpaths.append(towpath)
    reach = extent * 0.75 + 2 * MARGIN
    across = _grid_lines(rng, reach, (48.0, 74.0))
    along = _grid_lines(rng, reach, (72.0, 120.0))
    seen = shapely.box(-MARGIN, -MARGIN, extent + MARGIN, extent + MARGIN)
    shapely.prepare(seen)
    wet = network.wet.buffer(5.0)
    shapely.prepare(wet)
    for vertical, lines, others in ((True, across, along), (False, along, across)):
        for line in lines:
            network.streets.extend(_pieces(network.bend, line, others, vertical, rng, seen, wet))
    network.blocks.extend(_blocks(network, seed, across, along, seen))
    return network


def _pieces(
    bend: Bend,
    line: _GridLine,
    others: list[_GridLine],
    vertical: bool,
    rng: np.random.Generator,
    seen: BaseGeometry,
    wet: BaseGeometry,
) -> Iterator[Street]:
    """One grid line as streets: stretches of it, some replaced by a footpath, none but tarmac across water."""
    run: list[NDArray[np.float64]] = []

    def finished() -> Iterator[Street]:
        if run:
            points = np.concatenate(run)
            keep = np.concatenate([[True], np.any(np.diff(points, axis=0) != 0, axis=1)])
            yield Street(LineString(points[keep]), line.surface, line.width)
            run.clear()

    for start, end in pairwise(others):
        draw = rng.random()
        steps = np.linspace(start.at, end.at, max(2, int((end.at - start.at) / 5)))
        fixed = np.full_like(steps, line.at)
        points = bend(np.column_stack([fixed, steps] if vertical else [steps, fixed]))
        piece = LineString(points)
        if not seen.intersects(piece):
            yield from finished()
            continue
        if line.surface == "dirt" and (draw < 0.16 or wet.intersects(piece)):
            yield from finished()
            if draw < 0.12 and not wet.intersects(piece):
                yield Street(piece, "foot", 1.3)
            continue
        run.append(points)
    yield from finished()


def _blocks(
    network: Network, seed: int, across: list[_GridLine], along: list[_GridLine], seen: BaseGeometry
) -> Iterator[Block]:
    for column, (left, right) in enumerate(pairwise(across)):
        for row, (top, bottom) in enumerate(pairwise(along)):
            low = np.array([left.at + left.width / 2 + 2.0, top.at + top.width / 2 + 2.0])
            high = np.array([right.at - right.width / 2 - 2.0, bottom.at - bottom.width / 2 - 2.0])
            sides = [np.linspace(0, 1, 8, endpoint=False)[:, None]] * 4
            corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
            ring = np.concatenate(
                [a + t * (b - a) for a, b, t in zip(corners, np.roll(corners, -1, axis=0), sides, strict=True)]
            )
            outline = Polygon(network.bend(ring)).buffer(0)
            if outline.geom_type != "Polygon" or not seen.intersects(outline):
                continue
            rng = np.random.default_rng([seed, 4, column, row])
            centre = network.bend(((low + high) / 2)[None])[0]
            yield Block(column, row, low, high, _district(seed, centre, network.extent, rng), outline)
