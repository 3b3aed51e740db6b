"""What buttons do: something in one write transaction, told as the page is drawn next; and errors in our own words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from maploop.errors import MaploopError
from pages.common import Context
from pages.links import plain

_NOTICE = "notice"


@dataclass(frozen=True)
class Notice:
    """What came of an act; `is_done`: as it was meant."""

    text: str
    is_done: bool = True


def act(found: Context, says: str | Callable[[Any], str | Notice], do: Callable[[Any], Any]) -> None:
    """Do something in one write transaction and say so on the redrawn page; an error is shown in place."""
    try:
        with found.database.write() as connection:
            answer = do(connection)
    except MaploopError as error:
        show_error(error)
        return
    told = says if isinstance(says, str) else says(answer)
    st.session_state[_NOTICE] = told if isinstance(told, Notice) else Notice(told)
    st.rerun()


def act_outside(says: Callable[[Any], str | Notice], do: Callable[[], Any]) -> None:
    """As `act`, for what opens its transactions itself."""
    try:
        answer = do()
    except MaploopError as error:
        show_error(error)
        return
    told = says(answer)
    st.session_state[_NOTICE] = told if isinstance(told, Notice) else Notice(told)
    st.rerun()


def show_notice() -> None:
    """What was done just now."""
    notice = st.session_state.pop(_NOTICE, None)
    if notice is not None:
        draw_notice(notice)


def draw_notice(notice: Notice) -> None:
    """What came of something, in the colour of it."""
    if notice.is_done:
        st.success(plain(notice.text), icon=":material/check:")
    else:
        st.warning(plain(notice.text), icon=":material/warning:")


def show_error(error: Exception) -> None:
    """An error in Maploop's own words."""
    st.error(plain(str(error)), icon=":material/error:")
