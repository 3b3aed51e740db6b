"""What a run of a chat model asks for beside its tiles: examples, budget, pace; and what that will take."""

from typing import Any

import streamlit as st

from maploop.errors import InputError
from maploop.keys import check_key, key_for
from maploop.predict.chat.estimate import Estimate
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.models import ModelView
from pages.links import plain
from pages.workshop.words import money


def ask_parameters(model: ModelView) -> dict[str, Any]:
    """The run's parameters; none for models that are not chat models."""
    if model.backend != "chat":
        return {}
    show_key(*server_of(model))
    asked: dict[str, Any] = {}
    with st.container(horizontal=True, vertical_alignment="bottom", key="asking"):
        asked["shots"] = st.number_input(
            "Examples",
            0,
            20,
            0,
            key="shots",
            width=130,
            persist_state="page",
            help="So many reviewed tiles of the train split are shown first, with their answers.",
        )
        asked["budget"] = st.number_input(
            "Budget, USD",
            0.0,
            None,
            None,
            0.5,
            key="budget",
            width=160,
            placeholder="none",
            persist_state="page",
            help="The run stops before it costs more, and can be resumed with a larger one.",
        )
        asked["concurrency"] = st.number_input(
            "Requests at once", 1, 64, 4, key="concurrency", width=160, persist_state="page"
        )
    with st.container(horizontal=True, key="asking_how"):
        asked["retrieve"] = bool(asked["shots"]) and st.checkbox(
            "Examples that look most like the tile", key="retrieve", persist_state="page"
        )
        asked["batch"] = st.checkbox(
            "In batches",
            key="batch",
            persist_state="page",
            help="Files of requests, answered within a day for half the price, where the server takes them.",
        )
    return {name: value for name, value in asked.items() if value}


def server_of(model: ModelView) -> tuple[str | None, str]:
    """The name of the key that a model is asked with, None where its server asks for none, and the server's address."""
    if model.backend != "chat":
        return None, ""
    asked = ChatParameters.of(model.parameters)
    return asked.key, asked.base_url


def is_missing(name: str | None, base_url: str) -> bool:
    """Whether a key is needed and not there, or may not be sent to that server."""
    if not name:
        return False
    try:
        key_for(name, base_url)
    except InputError:
        return True
    return False


def show_key(name: str | None, base_url: str) -> None:
    """Whether a key of that name is there and may be sent to that server; never the key."""
    if not name:
        st.caption(":material/key_off: The server asks for no key.")
        return
    if not (name.isidentifier() and name.isupper()):
        st.caption(
            ":orange[:material/key_off:] Give the name of the variable that holds the key, never the key itself."
        )
        return
    try:
        check_key(name, base_url)
    except InputError as error:
        st.caption(f":orange[:material/key_off:] {plain(str(error))}")
        return
    if is_missing(name, base_url):
        remedy = "put it into the environment or Streamlit's secrets, and start the app again"
        st.caption(f":orange[:material/key_off:] The key {plain(name)} is not there: {remedy}.")
    else:
        st.caption(f":green[:material/key:] The key {plain(name)} is there.")


def show_estimate(expected: Estimate | None) -> None:
    """About what it will take, before anything is sent; nothing for models that cost nothing."""
    if expected is None or not expected.tiles:
        return
    tokens = f"About {expected.input_tokens:,} tokens in and {expected.output_tokens:,} out"
    if expected.cost is None:
        st.markdown(f"{tokens}; the cost is **unknown**, as the price of the model is: see Prices in the Ledger.")
        return
    most = f", at most {money(expected.most)}" if expected.most is not None else ""
    st.markdown(f"{tokens}: **about {money(expected.cost)}**{most}.")
