"""The ledger: what was spent by project, model, and run or training, estimated against reported."""

from typing import Any

import streamlit as st

from maploop.ledger import Entry, Total, ledger_of, total, totals
from pages.common import Context
from pages.workshop.prices import show_prices
from pages.workshop.words import NOTHING, counted, duration, localized, money

BY = {"project": "Project", "model": "Model", "run": "Run or training"}


def show_ledger(found: Context) -> None:
    """Totals, the table by what is asked for, and the prices that all this goes by."""
    with found.database.read() as connection:
        everything = ledger_of(connection)
    everywhere = st.toggle("All projects", key="ledger_everywhere", persist_state="page")
    entries = [each for each in everything if everywhere or each.project == found.project.name]
    if entries:
        show_entries(entries)
    else:
        st.info("Nothing has been asked of a model here yet, so nothing was spent.", icon=":material/info:")
    show_prices()


def show_entries(entries: list[Entry]) -> None:
    """What was spent, in all and by what is asked for."""
    show_total(total(entries))
    by = st.segmented_control(
        "By",
        list(BY),
        default="model",
        required=True,
        format_func=BY.__getitem__,
        key="ledger_by",
        persist_state="page",
    )
    right = st.column_config.TextColumn(alignment="right")
    st.dataframe(
        rows_by(str(by), entries),
        hide_index=True,
        key="ledger",
        placeholder=NOTHING,
        column_config={
            **localized("runs and trainings", "tokens in", "of them cached", "out"),
            "cost": right,
            "estimated": right,
        },
    )
    st.caption("Cost is what servers reported, at the price that held then. An unknown price is unknown, not zero.")


def show_total(whole: Total) -> None:
    """What it all comes to."""
    with st.container(horizontal=True, key="ledger_total"):
        st.metric("Spent", spent(whole), border=True)
        st.metric("Estimated", NOTHING if whole.expected_cost is None else money(whole.expected_cost), border=True)
        cached = f"{whole.usage.cached_tokens:,} of them from a cache."
        st.metric("Tokens in", f"{tokens_in(whole):,}", border=True, help=cached)
        st.metric("Tokens out", f"{whole.usage.output_tokens:,}", border=True)
        st.metric("Work", duration(whole.usage.seconds), border=True)
    if whole.unpriced:
        st.warning(
            f"The price of {counted(whole.unpriced, 'run or training', 'runs and trainings')} is unknown: what is "
            "spent is more than what stands here.",
            icon=":material/help:",
        )


def spent(whole: Total) -> str:
    """What is known to be spent; unknown when nothing is."""
    if whole.unpriced and not whole.cost:
        return "unknown"
    return money(whole.cost) + (" and more" if whole.unpriced else "")


def tokens_in(whole: Total) -> int:
    """All tokens that were sent."""
    return whole.usage.input_tokens + whole.usage.cached_tokens + whole.usage.cache_write_tokens


def rows_by(by: str, entries: list[Entry]) -> list[dict[str, Any]]:
    """The rows of the table."""
    if by == "run":
        return [entry_row(each) for each in entries]
    sums = totals(entries, lambda each: (each.project,) if by == "project" else (each.project, each.model))
    return [
        {
            **dict(zip(("project", "model"), each.names, strict=False)),
            "runs and trainings": each.entries,
            "cost": spent(each),
            "estimated": None if each.expected_cost is None else money(each.expected_cost),
            "tokens in": tokens_in(each),
            "of them cached": each.usage.cached_tokens,
            "out": each.usage.output_tokens,
            "work": duration(each.usage.seconds),
        }
        for each in sums
    ]


def entry_row(entry: Entry) -> dict[str, Any]:
    """One entry of the ledger as a row."""
    used = entry.usage
    return {
        "what": entry.what,
        "project": entry.project,
        "model": entry.model,
        "status": entry.status,
        "cost": money(used.cost) if entry.is_billed else "not yet",
        "estimated": None if entry.expected_cost is None else money(entry.expected_cost),
        "tokens in": used.input_tokens + used.cached_tokens + used.cache_write_tokens,
        "of them cached": used.cached_tokens,
        "out": used.output_tokens,
        "work": duration(used.seconds),
        "begun (UTC)": f"{entry.begun_at:%Y-%m-%d %H:%M}",
    }
