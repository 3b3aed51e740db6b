"""What each model costs at the team's own volume and wage, and which one to run."""

from dataclasses import replace

import streamlit as st

from maploop.compare.money import Assumptions, Economy, weigh
from maploop.compare.promotion import usual_assumptions
from maploop.compare.sidebyside import Comparison
from maploop.compare.spending import Speeds
from maploop.prices import Price
from maploop.quality.statistics import Metric
from maploop.report.charts import figure_name, quality_and_cost
from maploop.report.tables import money_table
from pages.common import Context
from pages.comparing.showing import show_plot, show_table
from pages.links import plain

SPEED_NAMES = {
    "accept": "Accept",
    "correct": "Correct",
    "reject": "Reject",
    "add": "Draw",
    "tile": "A tile besides",
}
FIGURES = ("f1", "precision", "recall")


def measured(found: Context, comparison: Comparison | None = None) -> Assumptions:
    """The assumptions before anybody told anything: people's speeds as measured, the rest as usual."""
    with found.database.read() as connection:
        return usual_assumptions(connection, found.project, comparison)


def economy_of(comparison: Comparison, usual: Assumptions) -> Economy:
    """What it comes to under what was told on this page. Raises InputError."""
    return weigh(comparison, told(comparison, usual))


def told(comparison: Comparison, usual: Assumptions) -> Assumptions:
    """The assumptions as they stand in the page's widgets; the usual ones where nothing is told."""
    by_model: dict[str, dict[str, float]] = {"cost": {}, "training": {}}
    prices: dict[str, Price] = {}
    for name in comparison.names:
        for what, amounts in by_model.items():
            value = st.session_state.get(f"{what}_{name}")
            if value is not None:
                amounts[name] = float(value)
        asked, answered = (st.session_state.get(f"{what}_{name}") for what in ("input_price", "output_price"))
        if asked is not None and answered is not None:
            prices[name] = Price(
                input=float(asked), cached_input=float(asked), cache_write=float(asked), output=float(answered)
            )
    return replace(
        usual,
        speeds=told_speeds(usual.speeds),
        volume=int(st.session_state.get("volume") or usual.volume),
        wage=told_or("wage", usual.wage),
        machine_hour=told_or("machine_hour", usual.machine_hour),
        prices=prices,
        cost_per_1000=by_model["cost"],
        training=by_model["training"],
        figure=str(st.session_state.get("money_figure") or usual.figure),
    )


def told_speeds(speeds: Speeds) -> Speeds:
    """Seconds as told, where they are; else as measured."""
    amounts = {name: st.session_state.get(f"speed_{name}") for name in SPEED_NAMES}
    return replace(speeds, **{name: Metric(float(each), 0, 0) for name, each in amounts.items() if each is not None})


def show_money(comparison: Comparison, speeds: Speeds, economy: Economy) -> None:
    """Inputs, and what follows from them at once."""
    ask_money(comparison, speeds)
    chart = quality_and_cost(economy)
    left, right = st.columns(2, gap="large")
    with left:
        if chart is None:
            st.caption("Quality against cost is drawn once the cost of a model is known: tell a price above.")
        else:
            show_plot(chart, "quality_and_cost")
    with right:
        st.markdown("**Break-even**, people's time included")
        pairs = (*economy.break_evens, *economy.against_hand)
        st.markdown("\n".join(f"- {plain(each)}" for each in dict.fromkeys(each.text for each in pairs)))
    show_table(money_table(economy), "money_table")
    with st.expander("Assumptions", expanded=True, key="assumptions"):
        st.markdown("\n".join(f"- {plain(each)}" for each in economy.notes))


def ask_money(comparison: Comparison, speeds: Speeds) -> None:
    """Volume, wage and prices; what is left empty is taken as measured."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="money_inputs"):
        st.number_input("Tiles to map", 1, 1_000_000_000, 10_000, 1000, key="volume", width=170, persist_state="page")
        st.number_input("Reviewer, USD an hour", 0.0, 10_000.0, 20.0, 1.0, key="wage", width=190, persist_state="page")
        st.number_input(
            "Machine, USD an hour",
            0.0,
            10_000.0,
            0.0,
            0.5,
            key="machine_hour",
            width=190,
            persist_state="page",
            help="Of a machine of yours that runs a local model; 0 when it is there anyway.",
        )
        st.segmented_control(
            "Judge by",
            FIGURES,
            default=FIGURES[0],
            required=True,
            format_func=figure_name,
            key="money_figure",
            persist_state="page",
        )
    with st.expander("Prices and speeds", key="prices"):
        for name in comparison.names:
            st.markdown(f"**{plain(name)}**")
            with st.container(horizontal=True):
                ask_amount("USD per 1,000 tiles", f"cost_{name}")
                ask_amount("Training, USD", f"training_{name}")
                ask_amount("USD per million input tokens", f"input_price_{name}")
                ask_amount("USD per million output tokens", f"output_price_{name}")
        st.markdown("**Seconds of a person**")
        with st.container(horizontal=True):
            for name, label in SPEED_NAMES.items():
                measured = getattr(speeds, name)
                ask_amount(label, f"speed_{name}", f"{measured.value or 0:.1f}{'' if measured.scored else ', a guess'}")


def ask_amount(label: str, key: str, placeholder: str = "as measured") -> None:
    """An amount that may be left empty."""
    st.number_input(label, 0.0, value=None, step=0.5, key=key, placeholder=placeholder, width=220, persist_state="page")


def told_or(key: str, usual: float) -> float:
    """An amount from its widget, or the usual one where that was not shown yet."""
    value = st.session_state.get(key)
    return usual if value is None else float(value)
