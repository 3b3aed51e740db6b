"""Predicting: which model, on which tiles, and what that will take."""

import re
from typing import Any

import streamlit as st

from maploop.cli_output import listed
from maploop.errors import InputError, MaploopError
from maploop.imagery.tilemath import Tile, parse_tile
from maploop.predict.chat.estimate import Estimate
from maploop.predict.choosing import TileChoice
from maploop.predict.history import list_runs
from maploop.predict.models import ModelView, list_models
from maploop.predict.registry import estimate_run, parameters_of_run, question_hash
from maploop.predict.runs import PlannedRun, plan_run
from maploop.predict.set_ups import find_set_up
from maploop.work import runs
from maploop.work.office import wake
from pages.acts import show_error
from pages.common import Context
from pages.links import plain
from pages.workshop.asking import ask_parameters, is_missing, server_of, show_estimate
from pages.workshop.at_work import show_at_work
from pages.workshop.runs import show_runs
from pages.workshop.words import counted, go_to, say_next

SCOPES = {
    "unreviewed": "Not reviewed yet",
    "worth": "Most worth knowing",
    "test": "Test split",
    "all": "All",
    "given": "Chosen",
}
EXPLAINED = {
    "unreviewed": "Every tile with imagery that nobody has finished.",
    "worth": "Tiles nobody has finished of which least is known: the models are unsure, and reviewed ground is far.",
    "test": "The finished tiles of the test split, to measure the model on ground that no model learns from.",
    "all": "Every tile with imagery, also finished ones: what a model finds there is looked at again.",
    "given": "These tiles, by their addresses.",
}


def show_predict(found: Context) -> None:
    """The form, what is at work, and what was."""
    with found.database.read() as connection:
        models = [each for each in list_models(connection, found.project) if each.backend != "file"]
        known = list_runs(connection, found.project)
    show_at_work(found, known)
    if models:
        ask_run(found, models)
    else:
        st.info("No model here can predict yet: tune one on a dataset, or add one.", icon=":material/info:")
        with st.container(horizontal=True):
            if st.button("Tune a model", type="primary", key="go_tune"):
                go_to("Tune")
            if st.button("Add a model", key="go_add"):
                go_to("Models")
    show_runs(found, known)


def ask_run(found: Context, models: list[ModelView]) -> None:
    """The widgets that say what to predict, what it comes to, and the button."""
    by_name = {each.name: each for each in reversed(models)}
    with st.container(border=True, key="ask_run"):
        name = st.selectbox("Model", list(by_name), key="model", bind="query-params", width=420)
        try:
            choice = ask_tiles()
            again = st.checkbox("Also tiles that the model has predicted already", key="again", persist_state="page")
            parameters = ask_parameters(by_name[name])
            planned, expected = plan(found, by_name[name], choice, again, parameters)
        except MaploopError as error:
            show_error(error)
            return
        show_plan(planned)
        show_estimate(expected)
        ready = bool(planned.tiles) and not is_missing(*server_of(by_name[name]))
        if st.button("Predict", type="primary", icon=":material/play_arrow:", disabled=not ready, key="predict"):
            begin(found, by_name[name], choice, again, parameters)


def ask_tiles() -> TileChoice:
    """Which tiles. Raises InputError."""
    scope = st.segmented_control(
        "Tiles",
        list(SCOPES),
        default="unreviewed",
        required=True,
        format_func=SCOPES.__getitem__,
        key="scope",
        persist_state="page",
    )
    st.caption(EXPLAINED[scope])
    match scope:
        case "worth":
            most = st.number_input("How many", 1, 100_000, 20, key="most", width=160, persist_state="page")
            return TileChoice(most=int(most))
        case "test":
            return TileChoice(split="test")
        case "given":
            text = st.text_area(
                "Tiles, as Z/X/Y", key="given", placeholder="19/309608/261632", height=80, persist_state="page"
            )
            return TileChoice(given=tiles_in(text))
        case "all":
            return TileChoice("all")
        case _:
            return TileChoice()


def tiles_in(text: str) -> list[Tile]:
    """The tiles somebody typed, with anything between them. Raises InputError."""
    tiles = [parse_tile(each) for each in re.split(r"[\s,;]+", text) if each]
    if not tiles:
        msg = "Type the addresses of the tiles, one a line: 19/309608/261632."
        raise InputError(msg)
    return tiles


def plan(
    found: Context, model: ModelView, choice: TileChoice, again: bool, parameters: dict[str, Any]
) -> tuple[PlannedRun, Estimate | None]:
    """What a run would be about, and what it would take. Raises MaploopError saying why it cannot be."""
    remembered = parameters_of_run(found.database, found.project, model, parameters)
    asked = question_hash(found.database, found.project, model, remembered)
    with found.database.read() as connection:
        shown = find_set_up(connection, found.project, model, remembered) or model
        planned = plan_run(connection, found.project, shown, choice, prompt_hash=asked, again=again)
    return planned, estimate_run(found.database, found.project, model, remembered, len(planned.tiles))


def show_plan(planned: PlannedRun) -> None:
    """How many tiles it comes to."""
    if planned.tiles:
        known = f"; {planned.known:,} others the model has predicted already" if planned.known else ""
        st.markdown(f"**{counted(len(planned.tiles), 'tile')}** to predict{known}.")
    elif planned.known:
        st.markdown(f"Nothing is left to predict: the model was asked about {counted(planned.known, 'tile')} already.")
    elif not planned.under_way and not planned.left_out:
        st.markdown("There is no such tile.")
    for each in planned.under_way:
        st.info(plain(each.to_text()), icon=":material/hourglass_top:")
    for reason, tiles in planned.left_out.items():
        st.warning(plain(f"{counted(len(tiles), 'tile')} left out, as {reason}: {listed(tiles)}."))


def begin(found: Context, model: ModelView, choice: TileChoice, again: bool, parameters: dict[str, Any]) -> None:
    """Begin the run, and redraw the page with it at work."""
    try:
        begun = runs.begin(found.database, found.project, model, choice, parameters=parameters, again=again)
    except MaploopError as error:
        show_error(error)
        return
    wake(found.database)
    if begun.run_id is not None:
        st.session_state["run"] = begun.run_id
    say_next(f"Run {begun.run_id} is begun." if begun.run_id else "Nothing is left to predict.")
    st.rerun()
