"""Plots with their downloads, and tables of text, as every part of the Compare page shows them."""

import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from maploop.errors import MaploopError
from maploop.report.document import Table
from maploop.report.drawing import Figure, to_png, to_svg
from maploop.report.tables import as_records
from pages.common import Context
from pages.links import plain

NOTICE = "compare_notice"


def show_plot(figure: Figure, key: str) -> None:
    """A plot in the colours of the page, and under it the same as files."""
    with st.container(key=f"plot_{key}", gap=None):
        st.html(to_svg(figure))
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
    """A table; its first column stays where it is."""
    first = {table.head[0]: st.column_config.TextColumn(pinned=True)}
    st.dataframe(as_records(table), hide_index=True, key=key, column_config=first)


def act(found: Context, says: str | Callable[[Any], str], do: Callable[[Any], Any]) -> None:
    """Do something in one write transaction and say so on the redrawn page; an error is shown in place."""
    try:
        with found.database.write() as connection:
            answer = do(connection)
    except MaploopError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state[NOTICE] = says if isinstance(says, str) else says(answer)
    st.rerun()


def show_notice() -> None:
    """What was done just now."""
    notice = st.session_state.pop(NOTICE, None)
    if notice:
        st.success(plain(notice), icon=":material/check:")
