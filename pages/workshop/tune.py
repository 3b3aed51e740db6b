"""Tuning: a frozen dataset and a base become a new model, here, at a server, or in a folder to take along."""

from collections.abc import Sequence

import streamlit as st

from maploop.dataset.datasets import DatasetView, list_datasets
from maploop.errors import MaploopError
from maploop.predict.models import ModelView, list_models
from maploop.tune.jobs import list_jobs
from maploop.tune.naming import FRESH_LOCAL
from maploop.tune.preflight import preflight
from maploop.tune.work import start_job
from maploop.work.office import wake
from pages.common import Context
from pages.links import open_page
from pages.workshop.hosted import ask_hosted, show_checks
from pages.workshop.trainings import show_at_work, show_trainings
from pages.workshop.words import SHORT, counted, say_next, show_error

HERE, SERVER = "On this machine", "At a server"
FRESH = "a fresh one"


def show_tune(found: Context) -> None:
    """The form, what is at work, and what was."""
    datasets = list_datasets(found.database, found.project)
    with found.database.read() as connection:
        jobs = list_jobs(connection, found.project)
        models = list_models(connection, found.project)[::-1]
    show_at_work(found, jobs)
    if datasets:
        ask_tuning(found, datasets, models)
    else:
        st.info("There is no dataset to learn from yet: freeze approved tiles first.", icon=":material/info:")
        if st.button("Freeze a dataset", type="primary", key="go_dataset"):
            open_page("dataset", found.project.name)
    show_trainings(found, jobs)


def ask_tuning(found: Context, datasets: Sequence[DatasetView], models: Sequence[ModelView]) -> None:
    """Which dataset, where, and from what."""
    with st.container(border=True, key="ask_tuning"):
        dataset = pick_dataset(datasets)
        where = st.segmented_control(
            "Train", [HERE, SERVER], default=HERE, required=True, key="trainer", persist_state="page"
        )
        if where == HERE:
            ask_local(found, dataset, [each for each in models if each.backend == "local"])
        else:
            ask_hosted(found, dataset, [each for each in models if each.backend == "chat"])


def pick_dataset(datasets: Sequence[DatasetView]) -> DatasetView:
    """The dataset to learn from: the latest, or the one in the address."""
    by_id = {each.id: each for each in datasets}
    wanted = st.query_params.get("dataset", "")
    first = next((place for place, each in enumerate(by_id) if wanted and each.startswith(wanted)), 0)
    picked = st.selectbox(
        "Dataset",
        list(by_id),
        index=first,
        format_func=lambda each: dataset_name(by_id[each]),
        key="tune_dataset",
        width=420,
    )
    return by_id[picked]


def dataset_name(dataset: DatasetView) -> str:
    """A dataset in the list: its id, when it was frozen, how many tiles teach."""
    tiles = dataset.manifest["tiles"]
    learned = counted(tiles["train"], "train tile") if "train" in tiles else counted(tiles["total"], "tile")
    return f"{dataset.id[:SHORT]} · {dataset.created_at:%Y-%m-%d %H:%M} · {learned}"


def ask_local(found: Context, dataset: DatasetView, models: Sequence[ModelView]) -> None:
    """The local trainer: nothing leaves this machine, and it costs nothing."""
    names = [FRESH, *(each.name for each in models)]
    wanted = st.query_params.get("base", "")
    base = st.selectbox(
        "From which model",
        names,
        index=names.index(wanted) if wanted in names else 0,
        key="tune_base",
        width=420,
        help="A fresh one learns from this dataset alone. Another one learns on, and keeps what it knows.",
    )
    name = st.text_input("Name of the new model", key="tune_name", placeholder="after base and dataset", width=420)
    st.caption(
        "The local model learns from the train split in a minute or two. Nothing leaves this machine, at no cost."
    )
    if st.button("Tune", type="primary", icon=":material/school:", key="tune"):
        begin_local(found, dataset, FRESH_LOCAL if base == FRESH else base, name)


def begin_local(found: Context, dataset: DatasetView, base: str, name: str) -> None:
    """Begin a local training, or say what forbids it."""
    try:
        plan = preflight(found.database, found.project, dataset.id, base, trainer="local", name=name.strip() or None)
        if not plan.may_start:
            show_checks(plan)
            return
        job = start_job(found.database, found.project, plan, None, annotator=found.annotator, in_app=True)
    except MaploopError as error:
        show_error(error)
        return
    wake(found.database)
    st.session_state["training"] = job.id
    say_next(f"Training {job.id} is begun: it makes {job.name}.")
    st.rerun()
