"""How the Models page says things: money, times, shares, and what has just been done."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import streamlit as st

from maploop.predict.history import RunView
from pages.acts import Notice, draw_notice
from pages.common import Context
from pages.links import open_page

NOTHING = "–"
SHORT = 12  # digits of a hash that tell datasets and prompts apart
FRESH, LEARN_ON = "start afresh", "go on from"  # what a local model is made from
ENDED = {"cancelled": "was cancelled", "failed": "has failed"}  # how a run or training came to an end, without success
AT_WORK = ("running", "waiting", "stopping")  # statuses of runs that are not over


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


@dataclass(frozen=True)
class Way:
    """A button that leads on: to another page, or to a part of this one with `values` picked there."""

    label: str
    page: str = "models"
    part: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def localized(*columns: str) -> dict[str, Any]:
    """Columns of numbers that are written as people write them."""
    return dict.fromkeys(columns, st.column_config.NumberColumn(format="localized"))


def ended_since(key: str, going: Collection[int]) -> set[int]:
    """What was under way when this was asked last in this session, and no more is."""
    before: set[int] = st.session_state.get(key, set())
    st.session_state[key] = set(going)
    return before - set(going)


def go_to(part: str, **values: Any) -> NoReturn:
    """Show another part of the page, with values of its widgets, by their keys."""
    st.session_state["models_go"] = {"part": part, **values}
    st.rerun()


def arrive() -> None:
    """Before any widget: what `go_to` wished for."""
    for key, value in st.session_state.pop("models_go", {}).items():
        st.session_state[key] = value


def say_next(text: str, then: Way | None = None, *, is_done: bool = True) -> None:
    """Say something on the page as it is drawn next, and the way on from there; `is_done`: as it was meant."""
    st.session_state["models_notice"] = Notice(text, is_done), then


def show_notice(found: Context) -> None:
    """What was done just now; a way on stays until it is used or something else is said."""
    notice, then = st.session_state.get("models_notice") or (None, None)
    if notice is None:
        return
    if then is None:
        del st.session_state["models_notice"]
    with st.container(horizontal=True, vertical_alignment="center", key="notice"):
        draw_notice(notice)
        if then is not None and st.button(then.label, type="primary", icon=":material/arrow_forward:", key="way_on"):
            del st.session_state["models_notice"]
            if then.part:
                go_to(then.part, **then.values)
            open_page(then.page, found.project.name)
