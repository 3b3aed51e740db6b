"""The comparison as one file to take along."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from maploop.compare.money import Economy
from maploop.compare.sidebyside import Comparison
from maploop.report.document import Document, Kind, written
from maploop.report.remaking import report_of
from pages.common import Context

MEDIA_TYPES: dict[Kind, str] = {"html": "text/html", "md": "text/markdown"}
LABELS: dict[Kind, str] = {"html": "HTML", "md": "Markdown"}


def show_report(found: Context, comparison: Comparison, evaluation_ids: tuple[int, ...], economy: Economy) -> None:
    """Downloads of the report, made when they are asked for."""
    st.markdown(
        "The figures, differences, money and pictures of this comparison as one file that needs no network and no "
        "Maploop. Prices, volume and wage are those of the Money tab. Every plot has downloads of its own under it."
    )

    def document() -> Document:
        with found.database.read() as connection:
            return report_of(connection, found.project, comparison, economy, evaluation_ids)

    def made(kind: Kind) -> str:
        return written(document(), kind)

    name = "-".join(["comparison", *map(str, evaluation_ids)])
    with st.container(horizontal=True):
        for kind, label in LABELS.items():
            content: Callable[[], str] = partial(made, kind)
            st.download_button(
                label,
                content,
                f"{name}.{kind}",
                MEDIA_TYPES[kind],
                on_click="ignore",
                icon=":material/download:",
                key=f"report_{kind}",
            )
    if evaluation_ids:
        listed = ", ".join(map(str, evaluation_ids))
        st.caption(f"Rests on evaluations {listed}: the same ids and assumptions give the same file, byte for byte.")
