"""What buttons of the Models page do: something, and then the page is drawn anew."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from maploop.errors import MaploopError
from maploop.work.office import wake
from pages.acts import show_error
from pages.common import Context
from pages.workshop.words import say_next


def act(found: Context, says: str, do: Callable[[], Any]) -> None:
    """Do something, wake who does the rest, and say so on the page as it is drawn next; an error is shown in place."""
    try:
        do()
    except MaploopError as error:  # such as that it ended meanwhile
        show_error(error)
        return
    wake(found.database)
    say_next(says)
    st.rerun()
