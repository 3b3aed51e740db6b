"""The price table on the Models page: what is changed there is kept over the table that comes with Maploop."""

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from db.engine import Database
from maploop.prices import built_in_prices, load_prices, own_prices, prices_path, save_prices
from pages import links
from pages.workshop.prices import ASKED, TUNED, changes, price_frame
from tests.builders import a_project

PAGE = str(Path(links.__file__).parent / "models.py")


@pytest.fixture
def frame() -> pd.DataFrame:
    """The table that comes with Maploop, as the page shows it."""
    return price_frame(built_in_prices())


def test_a_table_nobody_changed_says_nothing_of_its_own(frame: pd.DataFrame) -> None:
    assert changes(frame, built_in_prices()) == {"models": {}, "tuned": {}}


def test_changed_and_added_rows_are_what_is_kept(frame: pd.DataFrame) -> None:
    frame.loc[(frame["model"] == "gpt-4o") & (frame["kind"] == ASKED), "output"] = 11.0
    frame.loc[len(frame)] = ["  qwen3-vl ", TUNED, 0.5, None, None, 0.7, None]
    kept = changes(frame, built_in_prices())
    assert list(kept["models"]) == ["gpt-4o"]
    assert list(kept["tuned"]) == ["qwen3-vl"]
    save_prices(kept)
    tuned = load_prices().price_of("ft:qwen3-vl:org::1")
    assert tuned is not None
    assert (tuned.input, tuned.cached_input, tuned.output) == (0.5, None, 0.7)
    assert changes(price_frame(load_prices()), built_in_prices()) == {
        "models": {name: price.model_dump() for name, price in own_prices().models.items()},
        "tuned": {name: price.model_dump() for name, price in own_prices().tuned.items()},
    }


def test_the_page_dates_the_table_and_has_nothing_to_save_at_first(sqlite_database: Database) -> None:
    with sqlite_database.write() as connection:
        a_project(connection)
    save_prices({"date": "2026-11-20", "models": {"mine": {"input": 1, "output": 2}}})
    app = AppTest.from_file(PAGE, default_timeout=30)
    app.query_params["part"] = "Ledger"
    app.run()
    assert not app.exception
    assert "Prices of 2026-11-20" in [each.label for each in app.expander]
    assert app.button(key="save_prices").disabled


def test_a_damaged_price_file_is_told_and_breaks_nothing(sqlite_database: Database) -> None:
    with sqlite_database.write() as connection:
        a_project(connection)
    prices_path().write_text("{", encoding="utf-8")
    app = AppTest.from_file(PAGE, default_timeout=30)
    app.query_params["part"] = "Ledger"
    app.run()
    assert not app.exception
    assert "prices.json" in app.error[0].value.replace("\\", "")
