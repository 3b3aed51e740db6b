"""The precision of models as people decided, on tiles drawn at random and on those that were chosen."""

import streamlit as st

from maploop.quality.random_share import random_shares
from pages.common import Context


def show_random_share(found: Context) -> None:
    """The precision of models on tiles drawn at random, beside that on tiles that were chosen."""
    with found.database.read() as connection:
        shares = random_shares(connection, found.project)
    if not shares:
        return
    st.subheader("Precision of the predictions", anchor=False)
    st.dataframe(
        [
            {
                "model": each.model,
                "on tiles drawn at random": each.at_random.text(),
                "on other tiles": each.elsewhere.text(),
            }
            for each in shares
        ],
        hide_index=True,
        key="random_share",
    )
    st.caption(
        "The share of decided predictions that were accepted or corrected. Only tiles that the queue drew at random "
        "speak for all tiles; others were chosen, as uncertain or by a person. Intervals are over split blocks."
    )
