"""Tuning: a frozen dataset and a base become a new model, here, at a server, or in a folder to take along."""

from collections.abc import Sequence

import streamlit as st

from maploop.dataset.datasets import DatasetView, list_datasets
from maploop.errors import MaploopError
from maploop.predict.models import ModelView, list_models
from maploop.tune.jobs import list_jobs
from maploop.work import trainings
from pages.acts import show_error
from pages.common import Context
from pages.links import open_page
from pages.workshop.bundle import ask_bundle
from pages.workshop.hosted import ask_hosted
from pages.workshop.trainings import say_begun, show_at_work, show_trainings
from pages.workshop.words import FRESH, LEARN_ON, SHORT, counted

HERE, SERVER, ELSEWHERE = "On this machine", "At a server", "Elsewhere, with a bundle"


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
            "Train", [HERE, SERVER, ELSEWHERE], default=HERE, required=True, key="trainer", persist_state="page"
        )
        if where == HERE:
            ask_local(found, dataset, [each for each in models if each.backend == "local"])
        elif where == ELSEWHERE:
            ask_bundle(found, dataset)
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
    parents: dict[str, ModelView | None] = {FRESH: None, **{f"{LEARN_ON} {each.name}": each for each in models}}
    parent = st.selectbox(
        "Base",
        list(parents),
        key="tune_base",
        width=420,
        help="Afresh, it learns from this dataset alone. Going on from a model, it keeps what that one knows.",
    )
    name = st.text_input("Name of the new model", key="tune_name", placeholder="after base and dataset", width=420)
    st.caption("It learns from the train split in a minute or two. Nothing leaves this machine, at no cost.")
    if st.button("Tune", type="primary", icon=":material/school:", key="tune"):
        begin_local(found, dataset, parents[parent], name.strip())


def begin_local(found: Context, dataset: DatasetView, parent: ModelView | None, name: str) -> None:
    """Begin a local training, or say what forbids it."""
    try:
        job = trainings.begin_local(
            found.database, found.project, dataset, parent, name=name or None, annotator=found.annotator
        )
    except MaploopError as error:
        show_error(error)
        return
    say_begun(found, job)
