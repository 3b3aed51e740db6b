"""Models: what the project has, predicting with them, tuning new ones, and what all that costs."""

import streamlit as st

from pages.common import context, heading
from pages.workshop.ledger import show_ledger
from pages.workshop.predict import show_predict
from pages.workshop.shelf import show_models
from pages.workshop.tune import show_tune
from pages.workshop.words import arrive, show_notice

PARTS = {"Models": show_models, "Predict": show_predict, "Tune": show_tune, "Ledger": show_ledger}

found = context()
arrive()
heading("Models", found)
part = st.segmented_control(
    "Part of the page",
    list(PARTS),
    default="Models",
    required=True,
    key="part",
    label_visibility="collapsed",
    bind="query-params",
)
show_notice(found)
PARTS[part](found)
