"""The chart that shows the loop closing."""

import streamlit as st

from maploop.compare.rounds import rounds_of
from maploop.report.charts import round_plots
from maploop.report.tables import rounds_table
from pages.common import Context
from pages.comparing.showing import show_plot, show_table


def show_rounds(found: Context) -> None:
    """Quality, review time, corrections and the share accepted unchanged, round by round."""
    with found.database.read() as connection:
        rounds = rounds_of(connection, found.project)
    if not rounds:
        st.info("A round begins when people finish a tile with a model's predictions on it.", icon=":material/replay:")
        return
    with st.container(horizontal=True, key="rounds"):
        for place, figure in enumerate(round_plots(rounds)):
            with st.container(width=280):
                show_plot(figure, f"round_{place}")
    show_table(rounds_table(rounds), "rounds_table")
    st.caption(
        "A round is one model's predictions as people reviewed them. The loop closes when quality rises while seconds "
        "and corrections fall. Quality is that of the newest evaluation on the test split that was kept."
    )
