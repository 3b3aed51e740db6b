"""How the Models page says things: money, times, shares, and what has just been done."""

from typing import Any

import streamlit as st

from maploop.predict.history import RunView
from pages.common import Context
from pages.links import open_page, plain

NOTHING = "–"
SHORT = 12  # digits of a hash that tell datasets and prompts apart
AT_WORK = ("running", "waiting")  # statuses of runs that are not over


def money(cost: float | None) -> str:
    """USD, as finely as it takes; an unknown price is unknown."""
    if cost is None:
        return "unknown"
    if cost == 0:
        return "0 USD"
    return f"{cost:,.2f} USD" if cost >= 1 else f"{cost:.4f} USD"


def cost_of(run: RunView) -> str:
    """What a run cost; a file of predictions costs nothing that is known here."""
    return NOTHING if run.backend == "file" else money(run.usage.cost)


def duration(seconds: float) -> str:
    """`4 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def tiles_are_left(seconds: float | None) -> str:
    """About how long something still takes, to end a sentence."""
    return f", about {duration(seconds)} left" if seconds is not None else ""


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 tile`, `12 tiles`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table without the columns that say nothing in any of them."""
    said = dict.fromkeys(name for row in rows for name, value in row.items() if value is not None)
    return [{name: row.get(name) for name in said} for row in rows]


def say_next(text: str, *, review: bool = False) -> None:
    """Say something on the page as it is drawn next; with a way to `review` what has come of it."""
    st.session_state["models_notice"] = text, review


def show_notice(found: Context) -> None:
    """What was done just now; a way to review stays until it is used or something else is said."""
    text, review = st.session_state.get("models_notice") or ("", False)
    if not text:
        return
    if not review:
        del st.session_state["models_notice"]
    st.success(plain(text), icon=":material/check:")
    if review and st.button("Review", type="primary", icon=":material/fact_check:", key="review_now"):
        del st.session_state["models_notice"]
        open_page("review", found.project.name)


def show_error(error: Exception) -> None:
    """An error in Maploop's own words."""
    st.error(plain(str(error)), icon=":material/error:")
