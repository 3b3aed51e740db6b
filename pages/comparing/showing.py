"""Plots with their downloads, and tables of text, as every part of the Compare page shows them."""

import re
from pathlib import Path

import streamlit as st

from maploop.report.document import Table
from maploop.report.drawing import Figure, to_png, to_svg
from maploop.report.tables import as_records

# Streamlit takes SVG out of HTML, and an image would not know the colours of the page.
_plot = st.components.v2.component(
    "maploop_plot", html="<div></div>", js=(Path(__file__).parent / "plot.js").read_text(encoding="utf-8")
)


def show_plot(figure: Figure, key: str) -> None:
    """A plot in the colours of the page, and under it the same as files."""
    with st.container(key=f"plot_{key}", gap=None):
        _plot(data={"svg": to_svg(figure)}, key=key)
        name = re.sub(r"[^a-z0-9]+", "-", figure.says.lower()).strip("-")[:80]
        with st.container(horizontal=True, gap="small"):
            st.download_button(
                "SVG",
                lambda: to_svg(figure, alone=True),
                f"{name}.svg",
                "image/svg+xml",
                type="tertiary",
                on_click="ignore",
                key=f"{key}_svg",
            )
            st.download_button(
                "PNG",
                lambda: to_png(figure),
                f"{name}.png",
                "image/png",
                type="tertiary",
                on_click="ignore",
                key=f"{key}_png",
            )


def show_table(table: Table, key: str) -> None:
    """A table, its columns as wide as what is in them; the first stays where it is."""
    columns = {
        name: st.column_config.TextColumn(
            width=min(420, 24 + round(7.2 * max(len(each) for each in (name, *(row[place] for row in table.rows))))),
            pinned=place == 0,
        )
        for place, name in enumerate(table.head)
    }
    st.dataframe(as_records(table), hide_index=True, key=key, column_config=columns, width="content")
