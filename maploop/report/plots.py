"""The two kinds of plot a comparison needs: values with their intervals in rows, and lines or dots over two axes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from maploop.report.drawing import INK, Area, Dot, Figure, Line, Mark, Point, Shape, Words

# Near Okabe and Ito's palette, so that each shows on white and on black; each comes with a mark of its own.
SERIES: tuple[tuple[str, Mark], ...] = (
    ("#1A85C7", "circle"),
    ("#D55E00", "square"),
    ("#009E73", "diamond"),
    ("#CC79A7", "triangle"),
    ("#56B4E9", "square"),
    ("#E69F00", "circle"),
)
WIDTH = 520.0
_ROW, _GAP = 22.0, 10.0
_FAINT = 0.18
_SHIFTS = (-7.0, 16.0, -21.0, 30.0, -35.0)  # of a name, from its mark
_PER_LETTER = 6.4  # of 12 pixels high: a little more than most are wide
Format = Callable[[float], str]
Place = Callable[[float], float]


@dataclass(frozen=True)
class Row:
    """A value with its interval: of what, in which series, and what it says when pointed at."""

    label: str
    series: int
    value: float
    low: float | None
    high: float | None
    says: str


@dataclass(frozen=True)
class At:
    """A place in a plot of two axes, perhaps with an interval of its y value and a name beside it."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    name: str = ""
    says: str = ""


@dataclass(frozen=True)
class Series:
    """Places of one kind; `joined` by a line, `dashed` or not, with or without marks. `place`: its colour and mark."""

    name: str
    place: int
    at: tuple[At, ...]
    joined: bool = True
    marked: bool = True
    dashed: bool = False
    banded: bool = False


@dataclass(frozen=True)
class Axis:
    """What an axis shows: its title, how numbers are written, and a range that must be in it."""

    title: str
    format: Format
    low: float | None = None
    high: float | None = None
    whole: bool = False


def percent(value: float) -> str:
    """`40 %`."""
    return f"{100 * value:.0f} %"


def short(value: float) -> str:
    """A number as short as it can be told: `0.04`, `1,200`, `3.5M`."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"


def ticks_between(low: float, high: float, about: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, step)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(each * step, 10) + 0.0 for each in range(first, last + 1)]


def fitted(text: str, width: float) -> str:
    """Text cut to about so many pixels."""
    most = max(3, int(width / _PER_LETTER))
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def value_rows(
    rows: Sequence[Row],
    names: Sequence[str],
    axis: Axis,
    says: str,
    *,
    line_at: float | None = None,
    places: Sequence[int] | None = None,
) -> Figure:
    """A row a label, in it a mark with its interval for each series.

    `names` are those of the series, whose `places` are 0, 1, ... unless told; `line_at` marks a value such as no
    difference.
    """
    labels = list(dict.fromkeys(row.label for row in rows))
    left = min(170.0, 18 + _PER_LETTER * max((len(each) for each in labels), default=0))
    legend, top = _legend(names, 8, places)
    shown = [each for row in rows for each in (row.low, row.value, row.high) if each is not None]
    low, high = _range(shown + ([] if line_at is None else [line_at]), axis)
    across = _scale(low, high, left, WIDTH - 14)
    shapes: list[Shape] = [*legend]
    y = top + 4
    inner = 15.0
    bottoms: dict[str, tuple[float, float]] = {}
    for label in labels:
        count = sum(row.label == label for row in rows)
        height = max(_ROW, count * inner)
        bottoms[label] = (y, height / count)
        shapes.append(Words((left - 10, y + height / 2 + 4), fitted(label, left - 14), "end"))
        y += height + _GAP
    bottom = y
    for tick in ticks_between(low, high):
        x = across(tick)
        shapes.append(Line(((x, top), (x, bottom)), opacity=_FAINT))
        shapes.append(Words((x, bottom + 16), axis.format(tick), "middle", 11, opacity=0.75))
    if line_at is not None:
        shapes.append(Line(((across(line_at), top), (across(line_at), bottom)), width=1.5, opacity=0.8))
    shapes.append(Words(((left + WIDTH - 14) / 2, bottom + 34), fitted(axis.title, WIDTH - left + 40), "middle"))
    taken: dict[str, int] = {}
    for row in rows:
        start, step = bottoms[row.label]
        middle = start + step * (taken.get(row.label, 0) + 0.5)
        taken[row.label] = taken.get(row.label, 0) + 1
        colour, mark = SERIES[row.series % len(SERIES)]
        if row.low is not None and row.high is not None:
            shapes.append(Line(((across(row.low), middle), (across(row.high), middle)), colour, 2.5, 0.6))
        shapes.append(Dot((across(row.value), middle), colour, mark, says=row.says))
    return Figure(WIDTH, bottom + 44, tuple(shapes), says)


def over_axes(
    series: Sequence[Series],
    x_axis: Axis,
    y_axis: Axis,
    says: str,
    *,
    height: float = 300.0,
    width: float = WIDTH,
    diagonal: bool = False,
    log_x: bool = False,
) -> Figure:
    """Lines or dots over two axes; `diagonal`: where y equals x."""
    named = [each for each in series if each.name]
    legend, top = (
        _legend([each.name for each in named], 8, [each.place for each in named], width) if named else ([], 12.0)
    )
    title_at, top = top, top + 14
    places = [each for one in series for each in one.at]
    ys = [value for each in places for value in (each.low, each.y, each.high) if value is not None]
    left, right, bottom = 58.0, width - 16, top + height
    y_low, y_high = _range(ys, y_axis)
    up = _scale(y_low, y_high, bottom, top + 4)
    xs = [each.x for each in places]
    across, x_ticks = _x_axis(xs, x_axis, left, right, log=log_x)
    shapes: list[Shape] = [*legend]
    for tick in ticks_between(y_low, y_high, whole=y_axis.whole):
        shapes.append(Line(((left, up(tick)), (right, up(tick))), opacity=_FAINT))
        shapes.append(Words((left - 8, up(tick) + 4), y_axis.format(tick), "end", 11, opacity=0.75))
    for tick in x_ticks:
        shapes.append(Line(((across(tick), bottom), (across(tick), bottom + 4)), opacity=0.5))
        shapes.append(Words((across(tick), bottom + 18), x_axis.format(tick), "middle", 11, opacity=0.75))
    shapes.append(Line(((left, bottom), (right, bottom)), opacity=0.5))
    if diagonal:
        shapes.append(Line(((across(0), up(0)), (across(1), up(1))), opacity=0.5, dash=4))
    for each in series:
        shapes += _series(each, across, up)
    shapes += _names(places, across, up, right)
    shapes.append(Words(((left + right) / 2, bottom + 37), x_axis.title, "middle"))
    shapes.append(Words((8, title_at), y_axis.title))
    return Figure(width, bottom + 46, tuple(shapes), says)


def _series(series: Series, across: Place, up: Place) -> list[Shape]:
    colour, mark = SERIES[series.place % len(SERIES)] if series.place >= 0 else (INK, "circle")
    shapes: list[Shape] = []
    banded = [each for each in series.at if each.low is not None and each.high is not None]
    if series.banded and len(banded) > 1:
        upper = [(across(each.x), up(each.high or 0)) for each in banded]
        lower = [(across(each.x), up(each.low or 0)) for each in reversed(banded)]
        shapes.append(Area((*upper, *lower), colour, 0.14))
    elif not series.banded:
        for each in banded:
            x = across(each.x)
            shapes.append(Line(((x, up(each.low or 0)), (x, up(each.high or 0))), colour, 2, 0.6))
    if series.joined and len(series.at) > 1:
        points = tuple((across(each.x), up(each.y)) for each in series.at)
        shapes.append(Line(points, colour, 2, 1.0 if not series.dashed else 0.7, 5 if series.dashed else 0))
    for each in series.at:
        at: Point = (across(each.x), up(each.y))
        if series.marked:
            shapes.append(Dot(at, colour, mark, says=each.says))
    return shapes


def _names(places: Sequence[At], across: Place, up: Place, right: float) -> list[Shape]:
    """Names beside their marks, each moved until it lies on no other."""
    shapes: list[Shape] = []
    taken: list[Point] = []
    for each in sorted(places, key=lambda at: -at.y):  # the upper of two keeps its name above
        if not each.name:
            continue
        x, y = across(each.x), up(each.y)
        beyond = x > right - 110
        for shift in _SHIFTS:
            if all(abs(other[0] - x) > 110 or abs(other[1] - y - shift) > 13 for other in taken):
                break
        taken.append((x, y + shift))
        at = (x - 9 if beyond else x + 9, y + shift)
        shapes.append(Words(at, fitted(each.name, 150), "end" if beyond else "start"))
    return shapes


def _scale(low: float, high: float, start: float, end: float) -> Place:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _x_axis(xs: list[float], axis: Axis, left: float, right: float, *, log: bool) -> tuple[Place, list[float]]:
    if not log:
        low, high = _range(xs, axis)
        return _scale(low, high, left, right), ticks_between(low, high, whole=axis.whole)
    exponents = [math.log10(each) for each in xs if each > 0] or [0.0]
    low, high = math.floor(min(exponents) - 0.05), math.ceil(max(exponents) + 0.05)
    scale = _scale(low, high, left, right)
    return lambda value: scale(math.log10(max(value, 10.0**low))), [10.0**each for each in range(low, high + 1)]


def _range(values: list[float], axis: Axis) -> tuple[float, float]:
    """A little more than the values need, at round numbers, and whatever the axis must show."""
    if axis.low is not None:
        values = [*values, axis.low]
    if axis.high is not None:
        values = [*values, axis.high]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high and axis.low is not None:
        high = low + (abs(low) or 1)
    elif low == high:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    ticks = ticks_between(low, high, whole=axis.whole)
    step = min((b - a for a, b in pairwise(ticks)), default=(high - low))
    wide_low = low if axis.low is not None and low == axis.low else math.floor(low / step + 1e-9) * step
    wide_high = high if axis.high is not None and high == axis.high else math.ceil(high / step - 1e-9) * step
    return wide_low, wide_high


def _legend(
    names: Sequence[str], left: float, places: Sequence[int] | None = None, width: float = WIDTH
) -> tuple[list[Shape], float]:
    """Marks with their names, in as many lines as it takes; and where the plot begins under them."""
    if not names:
        return [], 12.0
    shapes: list[Shape] = []
    x, y = left, 14.0
    for place, name in zip(places or range(len(names)), names, strict=True):
        text = fitted(name, width - left - 30)
        needed = 28 + _PER_LETTER * len(text)
        if x > left and x + needed > width:
            x, y = left, y + 18
        colour, mark = SERIES[place % len(SERIES)]
        shapes.append(Dot((x + 5, y - 4), colour, mark))
        shapes.append(Words((x + 15, y), text))
        x += needed
    return shapes, y + 20
