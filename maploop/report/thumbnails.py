"""Tiles as small pictures: the imagery with what a model found, made up and missed drawn over it."""

import io
from collections.abc import Iterator

import numpy as np
import shapely
from PIL import Image, ImageColor, ImageDraw
from shapely.geometry.base import BaseGeometry

from maploop.imagery.tilemath import Tile, to_pixels
from maploop.report.drawing import Point, dashes
from maploop.report.outlines import STROKES, Outline, Stroke

SIZE = 384
_SMOOTH = 2
_GROUND = "#2b3036"  # where there is no imagery
_CASING = (0, 0, 0, 130)
_POINT_RADIUS = 7.0


def thumbnail(picture: bytes | None, tile: Tile, outlines: tuple[Outline, ...], *, size: int = SIZE) -> bytes:
    """A WebP image of a tile; `picture` is its imagery as an image file. The same input gives the same bytes."""
    side = size * _SMOOTH
    canvas = Image.new("RGBA", (side, side), _GROUND)
    if picture is not None:
        with Image.open(io.BytesIO(picture)) as imagery:
            canvas.alpha_composite(imagery.convert("RGBA").resize((side, side), Image.Resampling.BILINEAR))
    shown = canvas.convert("RGB")
    brush = ImageDraw.Draw(shown, "RGBA")
    for standing, stroke in STROKES.items():
        for each in outlines:
            if each.standing == standing:
                _draw(brush, to_pixels(each.geometry, tile, side), stroke)
    buffer = io.BytesIO()
    shown.resize((size, size), Image.Resampling.LANCZOS).save(buffer, format="webp", quality=82, method=4)
    return buffer.getvalue()


def _draw(brush: ImageDraw.ImageDraw, geometry: BaseGeometry, stroke: Stroke) -> None:
    width = stroke.width * _SMOOTH
    colour = ImageColor.getrgb(stroke.colour)
    if shapely.get_dimensions(geometry) == 0:
        for x, y in shapely.get_coordinates(geometry).tolist():
            r = _POINT_RADIUS * _SMOOTH
            box = (x - r, y - r, x + r, y + r)
            brush.ellipse(box, outline=_CASING, width=round(width * 2))
            brush.ellipse(box, outline=colour, width=round(width))
        return
    for path in _paths(geometry):
        brush.line(path, fill=_CASING, width=round(width + 1.5 * _SMOOTH), joint="curve")
        parts = dashes(path, stroke.dash * _SMOOTH) if stroke.dash else [path]
        for part in parts:
            brush.line(list(part), fill=colour, width=round(width), joint="curve")


def _paths(geometry: BaseGeometry) -> Iterator[list[Point]]:
    """Every ring and line as its points."""
    for part in shapely.get_parts(geometry):
        lines = shapely.get_rings(part) if shapely.get_dimensions(part) == 2 else np.array([part])
        for line in lines:
            points = shapely.get_coordinates(line)
            if len(points) > 1:
                yield [(float(x), float(y)) for x, y in points]
