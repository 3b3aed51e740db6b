"""The chart that shows the loop closing."""

import streamlit as st

from maploop.compare.rounds import rounds_of
from maploop.compare.sidebyside import compare_models
from maploop.errors import MaploopError
from maploop.report.charts import round_plots
from maploop.report.remaking import kept_ids
from maploop.report.tables import rounds_table
from pages.acts import act, show_error
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
    lacking = [each.model for each in rounds if each.quality is None]
    if lacking and st.button("Evaluate the others on the test split", key="evaluate_rounds", icon=":material/balance:"):
        evaluate_rounds(found, lacking)
    st.caption(
        "A round is one model's predictions as people reviewed them. The loop closes when quality rises while seconds "
        "and corrections fall. Quality is that of the newest evaluation on the test split that was kept."
    )


def evaluate_rounds(found: Context, names: list[str]) -> None:
    """Evaluate models whose quality is not known, and keep that."""
    try:
        with found.database.read() as connection, st.spinner("Evaluating"):
            comparison = compare_models(connection, found.project, names)
    except MaploopError as error:
        show_error(error)
        return
    act(
        found,
        "Their evaluations on the test split are kept.",
        lambda connection: kept_ids(connection, found.project, found.annotator_id, comparison),
    )
