"""Plots as a few shapes, written as SVG or painted as PNG: the same picture on a page, in a report and in a download.

Nothing is loaded and nothing depends on the machine: the same figure gives the same SVG, byte for byte. `INK` is the
colour of the text around it in a page, black in a file of its own.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, ImageColor, ImageDraw, ImageFont

INK = "ink"
Anchor = Literal["start", "middle", "end"]
Mark = Literal["circle", "square", "diamond", "triangle"]
Point = tuple[float, float]

_PNG_INK = "#1c2024"
_SMOOTH = 2  # painted so many times larger, then made smaller: Pillow's edges are hard
_PILLOW_ANCHORS: dict[Anchor, str] = {"start": "ls", "middle": "ms", "end": "rs"}


@dataclass(frozen=True)
class Line:
    """A line through points; `opacity` 0 to 1; dashed where `dash` pixels are told."""

    points: tuple[Point, ...]
    colour: str = INK
    width: float = 1.0
    opacity: float = 1.0
    dash: float = 0.0


@dataclass(frozen=True)
class Area:
    """A filled polygon."""

    points: tuple[Point, ...]
    colour: str = INK
    opacity: float = 0.15


@dataclass(frozen=True)
class Dot:
    """A mark at a place; what it `says` is shown where it is pointed at."""

    at: Point
    colour: str = INK
    mark: Mark = "circle"
    radius: float = 4.5
    says: str = ""


@dataclass(frozen=True)
class Words:
    """One line of text on its baseline."""

    at: Point
    text: str
    anchor: Anchor = "start"
    size: float = 12.0
    colour: str = INK
    opacity: float = 1.0


Shape = Line | Area | Dot | Words


@dataclass(frozen=True)
class Figure:
    """Shapes on a sheet, in pixels from its top left corner; `says` stands for it where it cannot be seen."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    says: str


def to_svg(figure: Figure, *, alone: bool = False) -> str:
    """The figure as SVG: to stand in a page, whose font and colour of text it takes, or `alone` in a file, on white."""
    size = f'viewBox="0 0 {_n(figure.width)} {_n(figure.height)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(_text(figure.says))} '
    if alone:
        head += f'width="{_n(figure.width)}" height="{_n(figure.height)}" '
        head += f'color="{_PNG_INK}" font-family="system-ui, sans-serif"'
        sheet = '<rect width="100%" height="100%" fill="#ffffff"/>'
    else:
        head += f'width="100%" style="max-width:{_n(figure.width)}px"'
        sheet = ""
    return f"{head}>{sheet}{''.join(_svg_of(each) for each in figure.shapes)}</svg>"


def to_png(figure: Figure, *, scale: int = 2) -> bytes:
    """The figure as a PNG on white, `scale` pixels for one of its own."""
    zoom = scale * _SMOOTH
    image = Image.new("RGB", (round(figure.width * zoom), round(figure.height * zoom)), "#ffffff")
    brush = ImageDraw.Draw(image, "RGBA")
    for each in figure.shapes:
        _paint(brush, each, zoom)
    image = image.resize((round(figure.width * scale), round(figure.height * scale)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def dashes(points: Iterable[Point], dash: float) -> list[tuple[Point, Point]]:
    """A line cut into the pieces that are drawn: `dash` long, as far apart."""
    pieces: list[tuple[Point, Point]] = []
    listed, walked = list(points), 0.0
    for (x0, y0), (x1, y1) in pairwise(listed):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        done = 0.0
        while length - done > 1e-6:
            phase = (walked + done) % (2 * dash)
            step = min(length - done, (dash if phase < dash else 2 * dash) - phase)
            step = max(step, 1e-6)
            if phase < dash:
                a, b = done / length, (done + step) / length
                pieces.append(((x0 + (x1 - x0) * a, y0 + (y1 - y0) * a), (x0 + (x1 - x0) * b, y0 + (y1 - y0) * b)))
            done += step
        walked += length
    return pieces


def corners(mark: Mark, at: Point, radius: float) -> tuple[Point, ...]:
    """The corners of a mark that has some."""
    x, y = at
    if mark == "diamond":
        r = radius * 1.25
        return (x, y - r), (x + r, y), (x, y + r), (x - r, y)
    if mark == "triangle":
        r = radius * 1.2
        return (x, y - r), (x + r, y + r * 0.85), (x - r, y + r * 0.85)
    r = radius * 0.9
    return (x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)


def _n(value: float) -> str:
    """A number as SVG reads it, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def _text(text: str) -> str:
    """Text without what XML forbids."""
    return "".join(each if each.isprintable() else " " for each in text)


def _svg_colour(colour: str) -> str:
    return "currentColor" if colour == INK else colour


def _svg_of(shape: Shape) -> str:
    colour = _svg_colour(shape.colour)
    if isinstance(shape, Line):
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in shape.points)
        faint = f' stroke-opacity="{shape.opacity:g}"' if shape.opacity < 1 else ""
        dash = f' stroke-dasharray="{_n(shape.dash)}"' if shape.dash else ""
        return (
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{shape.width:g}"{faint}{dash}/>'
        )
    if isinstance(shape, Area):
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in shape.points)
        return f'<polygon points="{points}" fill="{colour}" fill-opacity="{shape.opacity:g}"/>'
    if isinstance(shape, Words):
        x, y = shape.at
        faint = f' fill-opacity="{shape.opacity:g}"' if shape.opacity < 1 else ""
        anchor = f' text-anchor="{shape.anchor}"' if shape.anchor != "start" else ""
        head = f'<text x="{_n(x)}" y="{_n(y)}" font-size="{shape.size:g}" fill="{colour}"{faint}{anchor}>'
        return f"{head}{escape(_text(shape.text))}</text>"
    says = f"<title>{escape(_text(shape.says))}</title>" if shape.says else ""
    if shape.mark == "circle":
        x, y = shape.at
        return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(shape.radius)}" fill="{colour}">{says}</circle>'
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in corners(shape.mark, shape.at, shape.radius))
    return f'<polygon points="{points}" fill="{colour}">{says}</polygon>'


def _png_colour(colour: str, opacity: float = 1.0) -> tuple[int, int, int, int]:
    red, green, blue = ImageColor.getrgb(_PNG_INK if colour == INK else colour)[:3]
    return red, green, blue, round(255 * opacity)


def _paint(brush: ImageDraw.ImageDraw, shape: Shape, zoom: int) -> None:
    def at(points: Iterable[Point]) -> list[Point]:
        return [(x * zoom, y * zoom) for x, y in points]

    if isinstance(shape, Line):
        colour, width = _png_colour(shape.colour, shape.opacity), max(1, round(shape.width * zoom))
        parts = dashes(shape.points, shape.dash) if shape.dash else [shape.points]
        for part in parts:
            brush.line(at(part), fill=colour, width=width, joint="curve")
    elif isinstance(shape, Area):
        if len(shape.points) > 2:
            brush.polygon(at(shape.points), fill=_png_colour(shape.colour, shape.opacity))
    elif isinstance(shape, Words):
        font = ImageFont.load_default(shape.size * zoom)
        ((x, y),) = at([shape.at])
        colour = _png_colour(shape.colour, shape.opacity)
        brush.text((x, y), _text(shape.text), fill=colour, font=font, anchor=_PILLOW_ANCHORS[shape.anchor])
    elif shape.mark == "circle":
        x, y, r = shape.at[0] * zoom, shape.at[1] * zoom, shape.radius * zoom
        brush.ellipse((x - r, y - r, x + r, y + r), fill=_png_colour(shape.colour))
    else:
        brush.polygon(at(corners(shape.mark, shape.at, shape.radius)), fill=_png_colour(shape.colour))
