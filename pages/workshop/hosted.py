"""Training at a server: looked at before anything is sent, and begun when somebody has agreed to exactly that."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from maploop.dataset.datasets import DatasetView
from maploop.errors import MaploopError
from maploop.predict.chat.parameters import OPENAI, OPENAI_KEY
from maploop.predict.models import ModelView
from maploop.prices import load_prices
from maploop.tune.clients import client_of
from maploop.tune.plan import MAX_BATCH, MAX_EPOCHS, Hyperparameters, Preflight
from maploop.tune.preflight import preflight
from maploop.tune.work import start_job
from pages.acts import show_error
from pages.common import Context
from pages.links import plain
from pages.workshop.asking import is_missing, server_of, show_key
from pages.workshop.trainings import say_begun

LEVELS = {
    "ok": ":green[:material/check_circle:]",
    "warn": ":orange[:material/warning:]",
    "stop": ":red[:material/block:]",
}


def ask_hosted(found: Context, dataset: DatasetView, models: Sequence[ModelView]) -> None:
    """What a server is to train, a look before anything is sent, and the agreement to that."""
    asked, server = ask_order(models)
    wished = {"dataset": dataset.id, **asked}
    if st.button(
        "Look before anything is sent", icon=":material/fact_check:", disabled=not asked["base"], key="preflight"
    ):
        st.session_state.pop("preflight_plan", None)
        if plan := look(found, dataset, asked, server):
            st.session_state["preflight_plan"] = wished, plan
    seen, plan = st.session_state.get("preflight_plan", (None, None))
    if plan is not None and seen == wished:
        show_checks(plan)
        agree(found, plan)


def ask_order(models: Sequence[ModelView]) -> tuple[dict[str, Any], tuple[str | None, str]]:
    """Base, server, key and hyperparameters, and the name of the key that counts with the address it goes to.

    Where the base is a model of the project, server and key are its own, and None here.
    """
    names = {each.name: each for each in models}
    base = st.selectbox(
        "Base",
        [*names, *sorted(load_prices().tuned)],
        index=None,
        key="hosted_base",
        accept_new_options=True,
        placeholder="gpt-4o-2024-08-06",
        width=420,
        help="A chat model of the project to go on from, or what the server calls a base.",
    )
    order: dict[str, Any] = {"base": base, "base_url": None, "key": None}
    if base not in names:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            url = st.text_input("Server", key="hosted_url", placeholder="https://api.openai.com/v1", width=420)
            key = st.text_input("Name of its key", OPENAI_KEY, key="hosted_key", width=240).strip()
        order |= {"base_url": url.strip() or None, "key": key or None}
        server: tuple[str | None, str] = (key or None, url.strip() or OPENAI)
    else:
        server = server_of(names[base])
    show_key(*server)
    order["name"] = (
        st.text_input(
            "Name of the new model", key="hosted_name", placeholder="after base and dataset", width=420
        ).strip()
        or None
    )
    with st.expander("Hyperparameters", key="hyperparameters"):
        order["hyperparameters"] = ask_hyperparameters()
    return order, server


def ask_hyperparameters() -> dict[str, Any]:
    """Epochs, and what may be left to the server."""
    with st.container(horizontal=True):
        epochs = st.number_input("Epochs", 1, MAX_EPOCHS, Hyperparameters().epochs, key="epochs", width=140)
        batch = st.number_input(
            "Batch size", 1, MAX_BATCH, None, key="batch_size", placeholder="the server's", width=160
        )
        rate = st.number_input(
            "Learning rate multiplier", 0.01, 100.0, None, key="learning_rate", placeholder="the server's", width=200
        )
        seed = st.number_input("Seed", 0, 2**31 - 1, None, key="tune_seed", placeholder="the server's", width=160)
    return {"epochs": epochs, "batch_size": batch, "learning_rate_multiplier": rate, "seed": seed}


def look(
    found: Context, dataset: DatasetView, asked: dict[str, Any], server: tuple[str | None, str]
) -> Preflight | None:
    """Make the preflight, telling how far; None when it cannot be made, which is said.

    The server is asked about the base only when its key is there.
    """
    place = st.empty()
    bar = place.progress(0.0, "Writing the files")

    def tell(done: int, total: int, text: str) -> None:
        bar.progress(done / max(total, 1), text)

    try:
        return preflight(
            found.database,
            found.project,
            dataset.id,
            asked["base"],
            name=asked["name"],
            base_url=asked["base_url"],
            key=asked["key"],
            hyperparameters=Hyperparameters(**asked["hyperparameters"]),
            clients=client_of if not is_missing(*server) else None,
            progress=tell,
        )
    except MaploopError as error:
        show_error(error)
        return None
    finally:
        place.empty()


def show_checks(plan: Preflight) -> None:
    """What was looked at, the worst first."""
    worst = {"stop": 0, "warn": 1, "ok": 2}
    with st.container(border=True, key="checks"):
        for each in sorted(plan.checks, key=lambda check: worst[check.level]):
            st.markdown(f"{LEVELS[each.level]} {plain(each.text)}")


def agree(found: Context, plan: Preflight) -> None:
    """The question that names destination, count and cost, and the button that answers it."""
    if not plan.may_start:
        st.caption("What is marked in red forbids it: nothing can be sent.")
        return
    deletes = st.checkbox(
        "Delete the files there when the training ends",
        key="delete_files",
        help="The model stays. Without this they stay at the server until they are deleted below, at the training.",
    )
    plan = replace(plan, delete_files=deletes)
    st.markdown(f"**{plain(plan.question)}**")
    missing = is_missing(plan.key_name, plan.base_url)
    if st.button(
        f"Send it to {plan.destination}",
        type="primary",
        icon=":material/upload:",
        disabled=missing,
        key="confirm_tuning",
    ):
        try:
            job = start_job(
                found.database, found.project, plan, plan.confirmation, annotator=found.annotator, in_app=True
            )
        except MaploopError as error:
            show_error(error)
            return
        del st.session_state["preflight_plan"]
        say_begun(found, job)
