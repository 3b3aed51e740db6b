"""From a plan to pixels, window by window: any window of a town looks the same however the rest is cut.

Flat shapes are drawn three times as large with Pillow and averaged down; light, texture and soil are arithmetic on
arrays. Arrays are float32, 0..255, (height, width, 3); one plan unit (metre) is `1 / PIXEL` pixels.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from maploop.sample.noise import Noise
from maploop.sample.place import PIXEL
from maploop.sample.plan import Plan
from maploop.sample.sketch import SHADOW, Layer, Shape, Tree
from maploop.sample.trees import Portrait, portrait, scaled

Picture = NDArray[np.float32]
_FINE: Final = 3  # supersampling of hard edges
_PAD: Final = 24  # pixels painted around a window, so that blurs do not end at its edge
_SHADE: Final = np.array([0.40, 0.44, 0.54], dtype=np.float32)  # what the blue sky leaves of a colour in shadow

_SOIL: Final = np.array([[164, 124, 92], [192, 154, 120]], dtype=np.float32)
_GRASS: Final = np.array([[102, 116, 64], [146, 142, 90]], dtype=np.float32)


@dataclass(frozen=True)
class _Softness:
    """How a soft layer ends: blur in pixels, raggedness, width of the edge, opacity."""

    blur: float
    ragged: float
    edge: float
    opacity: float


_SOFT: Final = {
    Layer.SOIL: _Softness(7.0, 0.75, 0.5, 0.85),
    Layer.DIRT: _Softness(2.5, 0.45, 0.25, 0.96),
    Layer.PATH: _Softness(1.4, 0.38, 0.30, 0.92),
    Layer.TRACK: _Softness(1.6, 0.6, 0.5, 0.5),
    Layer.BANK: _Softness(5.0, 0.6, 0.4, 0.8),
    Layer.WATER: _Softness(2.0, 0.2, 0.15, 1.0),
}


@dataclass(frozen=True)
class _Window:
    """Pixels of the town, padding included."""

    left: int
    top: int
    width: int
    height: int

    def ring(self, ring: NDArray[np.float64], scale: int = 1) -> list[float]:
        """A ring of town pixels as Pillow wants it."""
        points: list[float] = ((ring - (self.left, self.top)) * scale - 0.5 * (scale > 1)).ravel().tolist()
        return points

    def touched(self, boxes: NDArray[np.float64]) -> NDArray[np.intp]:
        """Which of the boxes (n, 4: left, top, right, bottom) reach into the window."""
        right, bottom = self.left + self.width, self.top + self.height
        inside = (boxes[:, 0] < right) & (boxes[:, 2] > self.left) & (boxes[:, 1] < bottom) & (boxes[:, 3] > self.top)
        return np.flatnonzero(inside)


def _boxes(rings: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    if not rings:
        return np.empty((0, 4))
    return np.array([[*ring.min(axis=0), *ring.max(axis=0)] for ring in rings])


def _smoothstep(values: Picture, edge: float) -> Picture:
    """0 below 0.5 - edge, 1 above 0.5 + edge, smooth between."""
    t = np.clip((values - (0.5 - edge)) / (2 * edge), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


class Painter:
    """Paints windows of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._shapes: dict[Layer, list[Shape]] = {layer: [] for layer in Layer}
        for shape in plan.sketch.shapes:
            self._shapes[shape.layer].append(shape)
        self._rings = {layer: [shape.ring / PIXEL for shape in shapes] for layer, shapes in self._shapes.items()}
        self._shape_boxes = {layer: _boxes(rings) for layer, rings in self._rings.items()}
        self._low = [(shadow / PIXEL, ring / PIXEL) for shadow, ring in plan.sketch.low_shadows]
        self._low_boxes = _boxes([shadow for shadow, _ in self._low])
        self._tall = [ring / PIXEL for ring in plan.sketch.tall_shadows]
        self._tall_boxes = _boxes(self._tall)
        self._trees = sorted(plan.sketch.trees, key=lambda tree: tree.radius)
        self._tree_boxes = (
            np.array(
                [
                    [t.x - 3 * t.radius - 2, t.y - 3 * t.radius - 2, t.x + 4 * t.radius + 3, t.y + 4 * t.radius + 3]
                    for t in self._trees
                ]
            ).reshape(-1, 4)
            / PIXEL
        )
        self._originals: dict[tuple[str, int], Portrait] = {}
        self._portraits: dict[tuple[str, int, int], Portrait] = {}
        self._noise = {wave: Noise(plan.seed * 11 + wave, wave) for wave in (420, 96, 24, 6, 2)}
        self._greenness = self._paint_greenness()

    def window(self, left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
        """The pixels of a window, (height, width, 3)."""
        view = _Window(left - _PAD, top - _PAD, width + 2 * _PAD, height + 2 * _PAD)
        noise = {
            wave: field.window(view.left, view.top, view.width, view.height) for wave, field in self._noise.items()
        }
        picture = self._earth(view, noise)
        for layer in _SOFT:
            self._lay_soft(picture, view, layer, noise)
        self._lay_hard(picture, view, Layer.GROUND, noise)
        self._lay_hard(picture, view, Layer.LOW, noise)
        trees = [self._trees[i] for i in view.touched(self._tree_boxes)]
        shadow = self._shadow(view, trees)
        picture *= 1 - shadow[..., None] * (1 - _SHADE)
        roof = self._lay_hard(picture, view, Layer.ROOF, noise)
        if roof is not None:
            fallen = np.zeros((view.height, view.width), dtype=np.float32)
            self._cast_trees(fallen, view, trees, 0.45)
            picture *= 1 - (fallen * roof)[..., None] * (1 - _SHADE)
        self._grow_trees(picture, view, trees)
        return self._develop(picture, view)

    def _develop(self, picture: Picture, view: _Window) -> NDArray[np.uint8]:
        """What lens, sensor and haze make of it."""
        rng = np.random.default_rng([self._plan.seed, 12, view.left & 0xFFFFFFFF, view.top & 0xFFFFFFFF])
        soft = np.empty_like(picture)
        for band in range(3):  # a 3 x 3 lens blur, separable
            plane = picture[..., band]
            plane = 0.72 * plane + 0.14 * (np.roll(plane, 1, 0) + np.roll(plane, -1, 0))
            soft[..., band] = 0.72 * plane + 0.14 * (np.roll(plane, 1, 1) + np.roll(plane, -1, 1))
        core = soft[_PAD:-_PAD, _PAD:-_PAD]
        grain = rng.standard_normal(core.shape[:2], dtype=np.float32)[..., None] * 2.2
        core = (core * 0.965 + 6.0) + grain
        return np.asarray(np.clip(core + 0.5, 0, 255), dtype=np.uint8)

    def _paint_greenness(self) -> Image.Image:
        """How lush the ground is, one pixel for sixteen of the town, with a margin of 16 pixels of its own."""
        side = self._plan.size // 16 + 33
        canvas = Image.new("L", (side, side), 150)
        draw = ImageDraw.Draw(canvas)
        for outline, green in self._plan.greenness:
            points = np.asarray(outline.exterior.coords) / PIXEL / 16 + 16
            draw.polygon(points.ravel().tolist(), fill=int(255 * green))
        return canvas.filter(ImageFilter.GaussianBlur(2.2))

    def _earth(self, view: _Window, noise: dict[int, Picture]) -> Picture:
        """Bare soil and grass by greenness, with the grain of both."""
        left, top = view.left / 16 + 16, view.top / 16 + 16
        box = (left, top, left + view.width / 16, top + view.height / 16)
        green = self._greenness.resize((view.width, view.height), Image.Resampling.BICUBIC, box=box)
        lush = np.asarray(green, dtype=np.float32) / 255
        lush = lush + 0.16 * noise[420] + 0.2 * noise[96] + 0.16 * noise[24] + 0.12 * noise[6]
        cover = _smoothstep(lush, 0.22)[..., None]
        dry = np.clip(0.5 + 0.5 * noise[96] + 0.35 * noise[24], 0, 1)[..., None]
        soil = _SOIL[0] + (_SOIL[1] - _SOIL[0]) * np.clip(0.5 + 0.4 * noise[420] + 0.3 * noise[24], 0, 1)[..., None]
        grass = _GRASS[0] + (_GRASS[1] - _GRASS[0]) * dry
        picture = soil + (grass - soil) * cover
        rough = 1 + (0.04 + 0.05 * cover[..., 0]) * noise[6] + (0.03 + 0.06 * cover[..., 0]) * noise[2]
        return np.asarray(picture * rough[..., None], dtype=np.float32)

    def _lay_soft(self, picture: Picture, view: _Window, layer: Layer, noise: dict[int, Picture]) -> None:
        """Blend in a layer whose edges are blurred and ragged."""
        chosen = view.touched(self._shape_boxes[layer])
        if not len(chosen):
            return
        soft = _SOFT[layer]
        canvas = Image.new("RGBX", (view.width, view.height), (0, 0, 0, 0))
        draw = ImageDraw.Draw(canvas)
        for i in chosen:
            red, green, blue = self._shapes[layer][i].colour
            draw.polygon(view.ring(self._rings[layer][i]), fill=(int(red), int(green), int(blue), 255))
        blurred = np.asarray(canvas.filter(ImageFilter.GaussianBlur(soft.blur)))
        rows, columns = np.nonzero(blurred[..., 3] > 5)
        spots = blurred[rows, columns].astype(np.float32)
        cover = spots[:, 3] / 255
        colour = spots[:, :3] / cover[:, None]
        huge, broad, small, fine = (noise[wave][rows, columns] for wave in (96, 24, 6, 2))
        ragged = cover + soft.ragged * 0.3 * (broad + small) * (cover < 0.995)
        alpha = _smoothstep(ragged, soft.edge) * soft.opacity
        if layer == Layer.WATER:
            colour *= (1.06 - 0.14 * np.clip(cover * 2 - 1, 0, 1) + 0.05 * huge + 0.02 * small)[:, None]
        else:
            if layer == Layer.SOIL:
                alpha *= np.clip(0.85 + 0.3 * broad, 0, 1)
            colour *= (1 + 0.05 * broad + 0.035 * small + 0.03 * fine)[:, None]
        below = picture[rows, columns]
        picture[rows, columns] = below + (colour - below) * alpha[:, None]

    def _lay_hard(self, picture: Picture, view: _Window, layer: Layer, noise: dict[int, Picture]) -> Picture | None:
        """Composite a layer with hard edges; returns its cover (height, width), or None where there is nothing."""
        chosen = view.touched(self._shape_boxes[layer])
        if not len(chosen):
            return None
        canvas = Image.new("RGBX", (view.width * _FINE, view.height * _FINE), (0, 0, 0, 0))
        numbers = Image.new("I", (view.width, view.height))
        draw, mark = ImageDraw.Draw(canvas), ImageDraw.Draw(numbers)
        for number, i in enumerate(chosen, start=1):
            red, green, blue = self._shapes[layer][i].colour
            ring = self._rings[layer][i]
            draw.polygon(view.ring(ring, _FINE), fill=(int(red), int(green), int(blue), 255))
            mark.polygon(view.ring(ring - 0.5), fill=number)
        drawn = np.asarray(canvas.reduce(_FINE))
        rows, columns = np.nonzero(drawn[..., 3])
        spots = drawn[rows, columns].astype(np.float32)  # colours are premultiplied: what was not drawn is black
        cover = spots[:, 3:] / 255
        which = np.asarray(numbers)[rows, columns]
        textures = [self._shapes[layer][i].texture for i in chosen]
        table = np.array([[0, 0, 1, 0, 0], *([*t.direction, t.period / PIXEL, t.depth, t.stained] for t in textures)])
        across_x, across_y, period, depth, stained = table.astype(np.float32)[which].T
        stains = np.array([(0, 0, 0), *(t.stain for t in textures)], dtype=np.float32)[which]
        huge, broad, small, fine = (noise[wave][rows, columns] for wave in (96, 24, 6, 2))
        along = ((columns + view.left) * across_x + (rows + view.top) * across_y) / period
        patches = 0.5 * broad + 0.3 * huge + 0.25 * small
        stain = np.clip((patches + 1.6 * stained - 0.9) * 2.2 + 0.3, 0, 1) * np.minimum(stained * 3, 0.8)
        rough = (1 + depth * np.cos(2 * np.pi * along)) * (1 + 0.03 * small + 0.025 * fine)
        colour = spots[:, :3] + (stains * cover - spots[:, :3]) * stain[:, None]
        picture[rows, columns] = picture[rows, columns] * (1 - cover) + colour * rough[:, None]
        full = np.zeros((view.height, view.width), dtype=np.float32)
        full[rows, columns] = cover[:, 0]
        return full

    def _shadow(self, view: _Window, trees: list[Tree]) -> Picture:
        """How much of each pixel of the ground lies in shadow, 0..1."""
        scale = 2
        canvas = Image.new("L", (view.width * scale, view.height * scale))
        draw = ImageDraw.Draw(canvas)
        low = [self._low[i] for i in view.touched(self._low_boxes)]
        for shadow, _ in low:
            draw.polygon(view.ring(shadow, scale), fill=255)
        for _, ring in low:
            draw.polygon(view.ring(ring, scale), fill=0)
        for i in view.touched(self._tall_boxes):
            draw.polygon(view.ring(self._tall[i], scale), fill=255)
        soft = canvas.reduce(scale).filter(ImageFilter.GaussianBlur(0.7))
        mask = np.asarray(soft, dtype=np.float32) / np.float32(255)
        self._cast_trees(mask, view, trees, 1.0)
        return mask

    def _portrait(self, tree: Tree) -> Portrait:
        radius = max(3, round(tree.radius / PIXEL))
        radius = radius if radius < 12 else radius // 2 * 2
        key = (tree.kind, tree.variant, radius)
        if key not in self._portraits:
            if key[:2] not in self._originals:
                self._originals[key[:2]] = portrait(tree.kind, tree.variant, self._plan.seed)
            self._portraits[key] = scaled(self._originals[key[:2]], radius)
        return self._portraits[key]

    def _cast_trees(self, mask: Picture, view: _Window, trees: list[Tree], share: float) -> None:
        """Lay the shadows of crowns over `mask`; `share` shortens them for what stands higher than the ground."""
        for tree in trees:
            crown = self._portrait(tree)
            height = 1.2 * tree.radius + (2.5 if tree.kind == "palm" else 0.6)
            x, y = (np.array([tree.x, tree.y]) + SHADOW * height * share) / PIXEL
            place = _overlap(mask.shape, x - view.left, y - view.top, crown.cover.shape[0])
            if place is not None:
                there, own = place
                np.maximum(mask[there], crown.cover[own] * 0.95, out=mask[there])

    def _grow_trees(self, picture: Picture, view: _Window, trees: list[Tree]) -> None:
        for tree in trees:
            crown = self._portrait(tree)
            place = _overlap(picture.shape, tree.x / PIXEL - view.left, tree.y / PIXEL - view.top, crown.cover.shape[0])
            if place is not None:
                there, own = place
                picture[there] *= 1 - crown.cover[own][..., None]
                picture[there] += crown.colour[own]


def _overlap(
    shape: tuple[int, ...], x: float, y: float, side: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Where a square of `side` pixels centred on x, y meets an array, in both; None when it misses."""
    left, top = round(x) - side // 2, round(y) - side // 2
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + side, shape[1]), min(top + side, shape[0])
    if x0 >= x1 or y0 >= y1:
        return None
    return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
