"""Adding a model of the Hugging Face hub, or of a folder, as transformers opens it."""

from typing import Any, Final

import streamlit as st

from maploop.errors import InputError, MaploopError
from maploop.predict.hub.parameters import EVERYTHING
from maploop.predict.models import list_models
from maploop.predict.registry import add_checked_model
from pages.acts import show_error
from pages.common import Context
from pages.workshop.words import Way, say_next

TASKS: Final = {
    "semantic": "Semantic segmentation: a class for each pixel",
    "instance": "Instance segmentation: a mask for each thing",
    "detection": "Detection: a box for each thing",
    "masks": "Mask generation: whatever stands out",
    "sharpen": "Sharpening: another model's polygons, cut out anew",
}


def ask_hub_model(found: Context) -> None:
    """The form of a transformers model."""
    with st.container(horizontal=True):
        source = st.text_input(
            "Name on the hub, or folder", key="hub_source", placeholder="owner/segformer-roofs, or /models/roofs"
        )
        name = st.text_input("Name here", key="hub_name", placeholder="roofs")
    task = st.selectbox("Task", list(TASKS), format_func=TASKS.__getitem__, key="hub_task", width=420)
    parameters: dict[str, Any] = {"task": task}
    if task == "sharpen":
        with found.database.read() as connection:
            others = [each.name for each in list_models(connection, found.project)]
        parameters["sharpen"] = st.selectbox("Whose polygons", others, key="hub_sharpen", width=420)
    else:
        first = found.project.classes[0].name
        label = EVERYTHING if task == "masks" else first
        text = st.text_area(
            "The model's labels and their classes, one a line",
            f"{label} = {first}",
            key=f"hub_labels_{task}",
            height=90,
            width=420,
            help="LABEL = CLASS. Labels that are not named are not used; several may mean one class.",
        )
    with st.container(horizontal=True):
        parameters["threshold"] = st.number_input("Least score", 0.0, 1.0, 0.5, 0.05, key="hub_threshold", width=140)
        revision = st.text_input("Revision", key="hub_revision", placeholder="the newest", width=240)
    st.caption("Of the hub its settings are fetched now, and its weights at the first run. Nothing is sent to it.")
    if st.button("Add", type="primary", icon=":material/add:", disabled=not source.strip(), key="add_hub"):
        try:
            if task != "sharpen":
                parameters["labels"] = labels_in(text)
            if revision.strip():
                parameters["revision"] = revision.strip()
            with st.spinner("Looking at the model"):
                model = add_checked_model(
                    found.database,
                    found.project,
                    name.strip() or source.strip().rstrip("/").rpartition("/")[2],
                    "transformers",
                    source.strip(),
                    parameters,
                )
        except MaploopError as error:
            show_error(error)
            return
        say_next(f"{model.name} is added.", Way("Predict with it", part="Predict", values={"model": model.name}))
        st.rerun()


def labels_in(text: str) -> dict[str, str]:
    """Labels and classes as somebody typed them. Raises InputError."""
    labels = {}
    for line in filter(str.strip, text.splitlines()):
        label, separator, class_name = line.rpartition("=")
        if not separator or not label.strip() or not class_name.strip():
            msg = f"{line.strip()[:60]!r} does not say which label is which class: write LABEL = CLASS."
            raise InputError(msg)
        labels[label.strip()] = class_name.strip()
    return labels
