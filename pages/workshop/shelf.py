"""The models of the project: what they are, where they come from, how well they did."""

from typing import Any

import streamlit as st

from maploop.predict.history import RunView, list_runs
from maploop.predict.models import ModelView, list_models
from pages.common import Context
from pages.links import open_page, plain
from pages.workshop.add import show_add
from pages.workshop.words import LEARN_ON, NOTHING, SHORT, counted, filled, go_to, localized

FIGURES = {"tp": "right", "fp": "wrong", "fn": "missed", "f1": "F1"}
BACKENDS = {
    "local": "local",
    "chat": "chat",
    "transformers": "transformers",
    "file": "files",
}


def show_models(found: Context) -> None:
    """The table, one model in full, and the ways to more."""
    with found.database.read() as connection:
        models = list_models(connection, found.project)[::-1]
        runs = list_runs(connection, found.project)
    if models:
        show_table(models, runs)
        show_model(models)
    else:
        st.info(
            "No model yet. Tune the local one on a dataset, which needs no key and no network; or bring in the "
            "predictions of a model that ran elsewhere.",
            icon=":material/info:",
        )
    show_add(found)
    show_ways(found)


def show_table(models: list[ModelView], runs: list[RunView]) -> None:
    """All models, the newest first."""
    st.dataframe(
        filled([model_row(each, runs) for each in models]),
        hide_index=True,
        key="models",
        placeholder=NOTHING,
        column_config={
            **localized("runs", "features"),
            "F1": st.column_config.NumberColumn(
                format="%.3f", help="On the validation split of its dataset, measured when it was tuned."
            ),
        },
    )


def model_row(model: ModelView, runs: list[RunView]) -> dict[str, Any]:
    """A model as a row of the table."""
    mine = [each for each in runs if each.model == model.name]
    return {
        "model": model.name,
        "backend": BACKENDS.get(model.backend, model.backend),
        "identifier": identifier(model),
        "parent": model.parent,
        "dataset": model.dataset_id[:SHORT] if model.dataset_id else None,
        "F1": f1_of(model),
        "runs": len(mine),
        "features": sum(each.report.get("imported", each.features) for each in mine) or None,
        "added (UTC)": f"{model.created_at:%Y-%m-%d %H:%M}",
    }


def f1_of(model: ModelView) -> float | None:
    """F1 on the validation split; None where it was not measured."""
    return (model.parameters.get("validation") or {}).get("f1")


def identifier(model: ModelView) -> str | None:
    """What its backend knows it by, short enough to read: of a local model's file the first digits of its hash."""
    if model.backend != "local":
        return model.identifier or None
    name, _, digest = model.identifier.removesuffix(".model").rpartition("-")
    return f"{name}-{digest[:SHORT]}"


def show_model(models: list[ModelView]) -> None:
    """One model: what is remembered of it, and what may be done with it."""
    by_name = {each.name: each for each in models}
    with st.container(border=True, key="one_model"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox("Look at", list(by_name), key="look_at_model", width=420)
            model = by_name[name]
            if model.backend != "file" and st.button("Predict with it", icon=":material/play_arrow:", key="go_predict"):
                go_to("Predict", model=name)
            if model.backend == "local" and st.button("Tune on from it", icon=":material/school:", key="go_tune_on"):
                go_to("Tune", tune_base=f"{LEARN_ON} {name}")
        show_measured(model)
        with st.expander("Parameters", key="model_parameters"):
            st.json({"identifier": model.identifier, **model.parameters})


def show_measured(model: ModelView) -> None:
    """How it did on the validation split, class by class."""
    measured = model.parameters.get("validation")
    if not measured:
        if model.dataset_id:
            st.caption("No tile of its dataset is for validation, so it was not measured.")
        return
    overall = {key: value for key, value in measured.items() if key not in ("tiles", "classes")}
    st.dataframe(
        [
            {"class": name, **{FIGURES.get(key, key): value for key, value in scores.items()}}
            for name, scores in (*measured["classes"].items(), ("all", overall))
        ],
        hide_index=True,
        key="measured",
        placeholder=NOTHING,
        width="content",
        column_config=dict.fromkeys(("F1", "precision", "recall"), st.column_config.NumberColumn(format="%.3f")),
    )
    learned = f", learned from {counted(model.parameters['tiles'], 'tile')}" if "tiles" in model.parameters else ""
    st.caption(plain(f"On {counted(measured['tiles'], 'tile')} of the validation split{learned}."))


def show_ways(found: Context) -> None:
    """How more models come in."""
    with st.container(horizontal=True, key="ways"):
        if st.button("Tune a model on a dataset", icon=":material/school:", key="go_tune"):
            go_to("Tune")
        if st.button("Import predictions from a file", icon=":material/upload_file:", key="go_import"):
            open_page("import", found.project.name)
