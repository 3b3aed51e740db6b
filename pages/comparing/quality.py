"""How good each model is: figures by class, differences, what was taken for what, by size, by score."""

from typing import Any

import streamlit as st

from maploop.compare.sidebyside import Comparison
from maploop.report.charts import (
    ALL,
    RATES,
    SHARES,
    by_score,
    by_size,
    differences_by_class,
    figure_name,
    quality_by_class,
)
from maploop.report.tables import (
    FAILURES_MEAN,
    MAYBE_MEANS,
    confusion_table,
    differences_table,
    failures_table,
    figures_table,
    score_table,
    size_table,
)
from pages.comparing.showing import show_plot, show_table
from pages.links import plain

BANDS = ("Object size", "Score threshold")


def show_quality(comparison: Comparison) -> None:
    """Everything about quality."""
    figure = ask_figure(comparison)
    left, right = st.columns(2, gap="large")
    with left:
        show_plot(quality_by_class(comparison, figure), "by_class")
    if len(comparison.contenders) > 1:
        with right:
            show_plot(differences_by_class(comparison, comparison.names[0], figure), "differences")
            st.caption("Right of the line: better than the first, or higher. An interval that leaves 0 out is certain.")
    failures = failures_table(comparison)
    if failures is not None:
        st.subheader("Tiles by answer", anchor=False)
        st.caption(FAILURES_MEAN)
        show_table(failures, "failures")
    st.subheader("Figures", anchor=False)
    show_table(figures_table(comparison), "figures_table")
    rules = comparison.rules
    st.caption(
        f"Polygons match one to one at IoU {rules.iou_threshold:g}, best score first; lines within "
        f"{rules.line_tolerance_m:g} m, points within {rules.point_tolerance_m:g} m. Intervals: 95 %, drawn over tiles."
    )
    if len(comparison.contenders) > 1:
        show_differences(comparison)
    show_confusion(comparison)
    show_bands(comparison)


def ask_figure(comparison: Comparison) -> str:
    """Which figure the plots show."""
    overall = [
        each
        for each in SHARES
        if any(one.figure(each, name).value is not None for one in comparison.contenders for name in comparison.classes)
    ]
    return str(
        st.segmented_control(
            "Figure",
            overall or list(RATES),
            default=(overall or RATES)[0],
            required=True,
            format_func=figure_name,
            key="figure",
        )
    )


def show_differences(comparison: Comparison) -> None:
    """Paired differences, in words."""
    st.subheader("Differences", anchor=False)
    first = comparison.names[0]
    for other in comparison.names[1:]:
        st.markdown(f"**{plain(other)}** against {plain(first)}: {plain(comparison.difference(first, other).text())}.")
    show_table(differences_table(comparison), "differences_table")
    st.caption(MAYBE_MEANS)


def show_confusion(comparison: Comparison) -> None:
    """What was taken for what."""
    st.subheader("What was taken for what", anchor=False)
    name = pick("Model", comparison.names, "confusion_of")
    show_table(confusion_table(comparison, comparison.contender(name)), "confusion")


def show_bands(comparison: Comparison) -> None:
    """Results by size and by score."""
    st.subheader("By size and score", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = st.segmented_control("By", BANDS, default=BANDS[0], required=True, key="bands_by")
        figure = st.segmented_control(
            "Rate", RATES, default=RATES[0], required=True, format_func=figure_name, key="bands_figure"
        )
        classes: list[Any] = list(comparison.classes)
        if by == BANDS[1]:
            classes = [None, *classes]
        class_name = st.selectbox(
            "Class", classes, format_func=lambda name: name or ALL, key=f"bands_class_{by}", width=220
        )
    if by == BANDS[0]:
        plot, table = by_size(comparison, class_name, figure), size_table(comparison, class_name)
        nothing = "The objects of this class are all of a size, or there are none."
    else:
        plot, table = by_score(comparison, class_name, figure), score_table(comparison, class_name)
        nothing = "None of these models gives scores."
    if plot is None or table is None:
        st.caption(nothing)
        return
    left, right = st.columns(2, gap="large")
    with left:
        show_plot(plot, "bands")
    with right:
        show_table(table, "bands_table")


def pick(label: str, names: tuple[str, ...], key: str) -> str:
    """One of several models; no widget where there is one."""
    if len(names) == 1:
        return names[0]
    return str(st.selectbox(label, names, key=key, width=320))
