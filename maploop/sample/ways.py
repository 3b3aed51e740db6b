"""How streets, footpaths, bridges and water are drawn."""

from typing import Final

import numpy as np
import shapely
from shapely import LineString
from shapely.ops import substring

from maploop.sample import clutter
from maploop.sample.sketch import Colour, Layer, Sketch, Texture, Tree, shaded, unit, varied
from maploop.sample.streets import Network, Street
from maploop.sample.trees import VARIANTS

_TARMAC: Final[Colour] = (98, 98, 100)
_DIRT: Final[Colour] = (194, 158, 126)
_SHOULDER: Final[Colour] = (180, 148, 116)
_FOOT: Final[Colour] = (206, 172, 138)
_WATER: Final[Colour] = (96, 108, 90)
_BANK: Final[Colour] = (112, 112, 72)


def draw_ways(sketch: Sketch, network: Network, seed: int) -> None:
    """Draw all water, then every street and footpath, and state the truth of both."""
    _draw_water(sketch, network, seed)
    for number, street in enumerate([*network.streets, *(Street(line, "foot", 1.4) for line in network.towpaths)]):
        rng = np.random.default_rng([seed, 7, number])
        if street.surface == "foot":
            sketch.fill_all(Layer.PATH, street.line.buffer(street.width / 2), varied(_FOOT, rng, 0.03))
            sketch.add_truth("path", street.line)
            continue
        sketch.add_truth("road", street.line, surface=street.surface)
        if street.surface == "dirt":
            _draw_dirt(sketch, street, rng)
        else:
            _draw_tarmac(sketch, street, rng)
            _draw_bridges(sketch, street, network)
            _park_cars(sketch, street, rng)


def _draw_dirt(sketch: Sketch, street: Street, rng: np.random.Generator) -> None:
    """A graded road with the two tracks of wheels."""
    sketch.fill_all(Layer.DIRT, street.line.buffer(street.width / 2), varied(_DIRT, rng, 0.03))
    for side in (-0.85, 0.85):
        sketch.fill_all(Layer.TRACK, street.line.offset_curve(side).buffer(0.34), shaded(_DIRT, 1.12))


def _draw_tarmac(sketch: Sketch, street: Street, rng: np.random.Generator) -> None:
    """Shoulders, tarmac, worn wheel tracks, and on wide roads the markings."""
    line, width = street.line, street.width
    sketch.fill_all(Layer.DIRT, line.buffer(width / 2 + 1.3), varied(_SHOULDER, rng, 0.03))
    tarmac = varied(_TARMAC, rng, 0.06)
    sketch.fill_all(Layer.GROUND, line.buffer(width / 2), tarmac, Texture(stain=shaded(tarmac, 1.16), stained=0.35))
    worn = Texture(stain=shaded(tarmac, 0.9), stained=0.2)
    for side in (-width / 4 - 0.75, -width / 4 + 0.75, width / 4 - 0.75, width / 4 + 0.75):
        sketch.fill_all(Layer.GROUND, line.offset_curve(side).buffer(0.26), shaded(tarmac, 1.06), worn)
    if width < 6.5:
        return
    for start in np.arange(0, line.length - 2, 6.0):
        dash = substring(line, start, start + 2.4)
        sketch.fill_all(Layer.GROUND, dash.buffer(0.08, cap_style="flat"), (222, 218, 204))
    for side in (-width / 2 + 0.3, width / 2 - 0.3):
        sketch.fill_all(Layer.GROUND, line.offset_curve(side).buffer(0.05), (198, 194, 184))


def _draw_bridges(sketch: Sketch, street: Street, network: Network) -> None:
    """Parapets where the street crosses water."""
    for part in shapely.get_parts(street.line.intersection(network.wet.buffer(1.5))):
        if isinstance(part, LineString):
            for side in (-street.width / 2 - 0.2, street.width / 2 + 0.2):
                clutter.wall(sketch, part.offset_curve(side), (190, 186, 178), 0.4, 1.2)


def _park_cars(sketch: Sketch, street: Street, rng: np.random.Generator) -> None:
    """Cars along the kerb, facing either way."""
    for at in np.arange(rng.uniform(0, 20), street.line.length - 1.0, 22.0):
        if rng.random() < 0.4:
            spot, ahead = shapely.get_coordinates(shapely.line_interpolate_point(street.line, [at, at + 1.0]))
            along = (ahead - spot) / np.linalg.norm(ahead - spot)
            side, facing = (float(sign) for sign in rng.choice([-1.0, 1.0], 2))
            kerb = np.array([-along[1], along[0]]) * side * (street.width / 2 - 1.1)
            clutter.car(sketch, spot + kerb, along * facing, rng)


def _draw_water(sketch: Sketch, network: Network, seed: int) -> None:
    """Water with its banks and what grows there, clear of every street."""
    rng = np.random.default_rng([seed, 10])
    lines = shapely.STRtree([*(street.line for street in network.streets), *network.towpaths])
    for water in network.water:
        sketch.fill_all(Layer.BANK, water.buffer(2.2), _BANK)
        sketch.fill_all(Layer.WATER, water, varied(_WATER, rng, 0.03))
        rim = water.exterior
        along = shapely.line_interpolate_point(rim, np.arange(0, rim.length, 3.1))
        for point in shapely.get_coordinates(along):
            if rng.random() < 0.55:
                kind = "bush" if rng.random() < 0.7 else "broadleaf"
                radius = float(rng.uniform(0.8, 1.5) if kind == "bush" else rng.uniform(1.6, 3.6))
                x, y = point + unit(rng.uniform(0, 2 * np.pi)) * rng.uniform(0.5, 3.2)
                if lines.query(shapely.Point(x, y), predicate="dwithin", distance=radius + 3.0).size == 0:
                    sketch.trees.append(Tree(float(x), float(y), radius, kind, int(rng.integers(VARIANTS))))
