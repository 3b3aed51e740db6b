"""What tests of several pages need."""

from pathlib import Path

import pytest
import streamlit as st


@pytest.fixture
def went(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """Where the page wanted to go, and with what in the address."""
    places: list[tuple[str, dict[str, str]]] = []

    def go(where: Path, *, query_params: dict[str, str]) -> None:
        places.append((where.name, query_params))
        st.stop()

    monkeypatch.setattr(st, "switch_page", go)
    return places
