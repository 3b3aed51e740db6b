"""Tuning: a frozen dataset and a base become a new model."""

import streamlit as st

from maploop.dataset.datasets import list_datasets
from pages.common import Context
from pages.links import open_page


def show_tune(found: Context) -> None:
    """The form, what is at work, and what was."""
    datasets = list_datasets(found.database, found.project)
    if not datasets:
        st.info("There is no dataset to learn from yet: freeze approved tiles first.", icon=":material/info:")
        if st.button("Freeze a dataset", type="primary", key="go_dataset"):
            open_page("dataset", found.project.name)
        return
