"""Charts that several pages draw: plain values in, an Altair chart out. Colours are told apart by colour-blind eyes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

# Okabe and Ito's palette.
VERDICTS = {
    "accept": "#009E73",
    "correct": "#56B4E9",
    "add": "#0072B2",
    "unsure": "#F0E442",
    "reject": "#D55E00",
    "undecided": "#999999",
}
STATUSES = {"approved": "#009E73", "complete": "#0072B2", "returned": "#D55E00", "open": "#999999"}
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
BAR = 22
Layered = alt.LayerChart | alt.FacetChart  # what alt.layer says it returns


def stacked_bar(counts: Mapping[str, int], colours: Mapping[str, str], title: str) -> alt.Chart:
    """One bar that shows the shares of a whole; its legend has the counts."""
    shown = [each for each in colours if counts.get(each)]
    labels = {each: f"{each} {counts[each]:,}" for each in shown}
    rows = [{"what": labels[each], "count": counts[each], "place": place} for place, each in enumerate(shown)]
    chart: alt.Chart = (
        alt.Chart(_data(rows), height=95)
        .mark_bar(height=BAR)
        .encode(
            x=alt.X("count:Q", stack="normalize", axis=None),
            color=_colour("what", {labels[each]: colours[each] for each in shown}),
            order=alt.Order("place:Q"),
            tooltip=[alt.Tooltip("what:N", title=title)],
        )
    )
    return chart


def stacked_bars(rows: Sequence[Mapping[str, Any]], name: str, colours: Mapping[str, str]) -> alt.Chart:
    """A bar a row (`name`, `verdict`, `count`), in the order given, each the shares of its whole."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    places = {each: place for place, each in enumerate(colours)}
    values = [{**row, "place": places[row["verdict"]]} for row in rows]
    present = {each: colour for each, colour in colours.items() if any(row["verdict"] == each for row in rows)}
    chart: alt.Chart = (
        alt.Chart(_data(values), height=alt.Step(BAR + 10))
        .mark_bar(height=BAR)
        .encode(
            y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=220, ticks=False, domain=False)),
            x=alt.X("count:Q", stack="normalize", title=None, axis=alt.Axis(format="%", tickCount=4)),
            color=_colour("verdict", present),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("name:N", title=name),
                alt.Tooltip("verdict:N"),
                alt.Tooltip("count:Q", title="features", format=","),
            ],
        )
    )
    return chart


def columns_with_numbers(rows: Sequence[Mapping[str, Any]], name: str, colours: Mapping[str, str]) -> Layered:
    """A column for each name (`name`, `verdict`, `count`), the shares of its whole, and above it how many that is."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    places = {each: place for place, each in enumerate(colours)}
    values = [{**row, "place": places[row["verdict"]]} for row in rows]
    totals = {each: sum(row["count"] for row in rows if row["name"] == each) for each in names}
    x = alt.X("name:N", sort=names, title=name, axis=alt.Axis(labelAngle=0, ticks=False))
    present = {each: colour for each, colour in colours.items() if any(row["verdict"] == each for row in rows)}
    columns = (
        alt.Chart(_data(values))
        .mark_bar()
        .encode(
            x=x,
            y=alt.Y("count:Q", stack="normalize", title=None, axis=alt.Axis(format="%", tickCount=4)),
            color=_colour("verdict", present),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("name:N", title=name),
                alt.Tooltip("verdict:N"),
                alt.Tooltip("count:Q", title="predictions", format=","),
            ],
        )
    )
    numbers = (
        alt.Chart(_data([{"name": each, "total": f"n {total:,}"} for each, total in totals.items()]))
        .mark_text(baseline="bottom", dy=-4, color="#808080", fontSize=11)
        .encode(x=x, y=alt.value(0), text="total:N")
    )
    return alt.layer(columns, numbers).properties(height=340)


def intervals(rows: Iterable[Mapping[str, Any]], title: str) -> Layered:
    """A dot with its interval a row (`name`, `value`, `low`, `high`, `n`), all between 0 and 1."""
    values = list(rows)
    base = alt.Chart(_data(values), height=alt.Step(BAR + 6)).encode(
        y=alt.Y(
            "name:N",
            sort=[row["name"] for row in values],
            title=None,
            axis=alt.Axis(labelLimit=220, ticks=False, domain=False),
        ),
        tooltip=[
            alt.Tooltip("name:N", title="of"),
            alt.Tooltip("value:Q", title=title, format=".1%"),
            alt.Tooltip("low:Q", title="from", format=".1%"),
            alt.Tooltip("high:Q", title="to", format=".1%"),
            alt.Tooltip("n:Q", title="n", format=","),
        ],
    )
    axis = alt.Axis(format="%", tickCount=5)
    lines = base.mark_rule(strokeWidth=2, color="#56B4E9").encode(
        x=alt.X("low:Q", title=title, axis=axis, scale=alt.Scale(domainMin=0)), x2="high:Q"
    )
    dots = base.mark_point(filled=True, size=90, color="#0072B2", opacity=1).encode(x=alt.X("value:Q"))
    return alt.layer(lines, dots)


def lines_by_step(rows: Sequence[Mapping[str, Any]], title: str, *, percent: bool = False) -> Layered:
    """A line for each series (`series`, `step`, `value`), in the order in which these come, with a dot a value."""
    names = list(dict.fromkeys(row["series"] for row in rows))
    colours = dict(zip(names, SERIES, strict=False))
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1, format="d")),
        y=alt.Y(
            "value:Q", title=title, axis=alt.Axis(format="%" if percent else ".3~g"), scale=alt.Scale(zero=percent)
        ),
        color=_colour("series", colours, shown=len(names) > 1),
        tooltip=[
            alt.Tooltip("series:N", title="of"),
            alt.Tooltip("step:Q", format=","),
            alt.Tooltip("value:Q", title=title, format=".1%" if percent else ".4f"),
        ],
    )
    lines = base.mark_line(strokeWidth=2).encode(strokeDash=alt.StrokeDash("series:N", legend=None, sort=names))
    dots = base.mark_point(filled=True, size=30, opacity=1)
    return alt.layer(lines, dots).properties(height=240)


def _data(rows: Sequence[Mapping[str, Any]]) -> alt.Data:
    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]


def _colour(field: str, colours: Mapping[str, str], *, shown: bool = True) -> alt.Color:
    return alt.Color(
        f"{field}:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(title=None, orient="bottom", columns=4, labelLimit=200) if shown else None,
    )
