"""Plots as SVG and PNG: the same bytes every time, text stays text, nothing is loaded."""

import io
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maploop.report.drawing import Dot, Figure, Line, Words, dashes, to_png, to_svg
from maploop.report.plots import At, Axis, Row, Series, over_axes, percent, ticks_between, value_rows

HOSTILE = '<img src=x onerror=alert(1)> & "quotes" ]]> \x00'
SVG = "{http://www.w3.org/2000/svg}"


def rows(name: str = "building") -> list[Row]:
    """Two models and one class."""
    return [Row(name, 0, 0.4, 0.3, 0.5, f"{name}: 0.4"), Row(name, 1, 0.7, 0.6, 0.8, f"{name}: 0.7")]


def a_plot(name: str = "first", **options: object) -> Figure:
    """A plot of two axes with two series."""
    lines = [
        Series(name, 0, (At(1, 0.3, 0.2, 0.4, name, name), At(2, 0.5, 0.4, 0.6))),
        Series("second", 1, (At(1, 0.4), At(2, 0.9)), dashed=True),
    ]
    return over_axes(lines, Axis("round", percent), Axis("F1", percent, 0, 1), name, **options)  # type: ignore[arg-type]


def texts(svg: str) -> list[str]:
    """What is written in a picture."""
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    "figure", [value_rows(rows(HOSTILE), [HOSTILE, "b"], Axis("F1", percent), HOSTILE), a_plot(HOSTILE)]
)
def test_names_in_a_plot_stay_text(figure: Figure) -> None:
    for svg in (to_svg(figure), to_svg(figure, alone=True)):
        root = ElementTree.fromstring(svg)
        assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
            "svg", "text", "title", "circle", "polyline", "polygon", "rect",
        }  # fmt: skip
        assert any(each.startswith("<img src=x") for each in texts(svg))
        assert "<img" not in svg


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert to_svg(a_plot()) == to_svg(a_plot())
    assert to_png(a_plot()) == to_png(a_plot())


def test_a_png_is_a_picture_of_twice_the_size_that_is_not_empty() -> None:
    figure = a_plot()
    with Image.open(io.BytesIO(to_png(figure))) as image:
        assert image.size == (round(figure.width * 2), round(figure.height * 2))
        assert len(image.convert("RGB").getcolors(1_000_000) or []) > 20


def test_values_stand_where_the_axis_says() -> None:
    svg = ElementTree.fromstring(to_svg(value_rows(rows(), ["a", "b"], Axis("F1", percent, 0, 1), "F1")))
    ticks = {each.text: float(each.attrib["x"]) for each in svg.iter(f"{SVG}text") if (each.text or "").endswith(" %")}
    marks = [float(each.attrib["cx"]) for each in svg.iter(f"{SVG}circle") if each.find(f"{SVG}title") is not None]
    assert marks == [pytest.approx(ticks["40 %"], abs=0.2)]


def test_an_axis_of_powers_of_ten_puts_equal_ratios_at_equal_distances() -> None:
    places = [Series("", 0, (At(0.1, 0.2), At(1, 0.3), At(10, 0.4)), joined=False)]
    figure = over_axes(places, Axis("USD", str), Axis("F1", percent), "cost", log_x=True)
    x = [each.at[0] for each in figure.shapes if isinstance(each, Dot)]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1])


def test_a_plot_of_nothing_is_a_plot_with_axes() -> None:
    assert to_svg(over_axes([], Axis("x", percent), Axis("y", percent), "nothing"))
    assert to_svg(value_rows([], [], Axis("x", percent), "nothing"))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_round_ascending_and_inside(low: float, span: float) -> None:
    high = low + span
    if high <= low:
        return
    ticks = ticks_between(low, high)
    slack = span * 1e-6 + 1e-9
    assert all(low - slack <= each <= high + slack for each in ticks)
    assert all(a < b for a, b in pairwise(ticks))


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), min_size=2, max_size=6), st.floats(1, 20))
def test_dashes_lie_on_the_line_and_are_no_longer_than_told(points: list[tuple[float, float]], dash: float) -> None:
    whole = sum(((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5 for a, b in pairwise(points))
    drawn = [((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5 for a, b in dashes(points, dash)]
    assert all(each <= dash + 1e-6 for each in drawn)
    assert sum(drawn) <= whole + 1e-6
    assert sum(drawn) >= min(whole, dash) / 2 - 1e-6


def test_ink_is_the_colour_of_the_page_and_black_in_a_file() -> None:
    figure = Figure(10, 10, (Line(((0, 0), (5, 5))), Words((1, 1), "a")), "line")
    assert 'stroke="currentColor"' in to_svg(figure)
    assert "<rect" not in to_svg(figure)
    assert 'color="#1c2024"' in to_svg(figure, alone=True)
