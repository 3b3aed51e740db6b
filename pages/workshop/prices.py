"""The dated price table, to be looked at and changed: what people save goes over the table that comes with Maploop."""

from datetime import UTC, datetime
from typing import Any, Final

import pandas as pd
import streamlit as st

from maploop.errors import MaploopError
from maploop.prices import OwnPrices, Price, PriceTable, built_in_prices, load_prices, own_prices, save_prices
from pages.acts import show_error
from pages.links import plain
from pages.workshop.words import NOTHING, say_next

RATES: Final = {
    "input": "input",
    "cached_input": "cached input",
    "cache_write": "cache write",
    "output": "output",
    "training": "training",
}
ASKED, TUNED = "base", "tuned"


def show_prices() -> None:
    """The table in force as an editor, and what saving does."""
    try:
        table = load_prices()
    except MaploopError as error:  # the file in the data folder is damaged
        show_error(error)
        return
    with st.expander(f"Prices of {table.date}", icon=":material/sell:", key="prices"):
        st.caption(f"{table.currency} for {table.unit}. {plain(table.note)}")
        edited = st.data_editor(
            price_frame(table),
            num_rows="dynamic",
            hide_index=True,
            placeholder=NOTHING,
            key=f"price_table_{hash(table.model_dump_json())}",
            column_config={
                "model": st.column_config.TextColumn(required=True, help="As the server calls it, without a date."),
                "kind": st.column_config.SelectboxColumn(options=[ASKED, TUNED], required=True, default=ASKED),
                **{name: st.column_config.NumberColumn(min_value=0, format="%.4g") for name in RATES.values()},
            },
        )
        st.caption(
            "An empty rate is not charged apart. A model that is not in the table has an unknown price. Rows that come "
            "with Maploop come back when they are removed."
        )
        changed = changes(edited, built_in_prices())
        kept = own_prices()
        same = (changed["models"], changed["tuned"]) == (as_json(kept.models), as_json(kept.tuned))
        if st.button("Save prices", icon=":material/save:", disabled=same, key="save_prices"):
            save(changed, kept)


def price_frame(table: PriceTable) -> pd.DataFrame:
    """The table, a row a model, as its vendor sells it or tuned."""
    rows = [
        {"model": model, "kind": kind, **{label: getattr(price, name) for name, label in RATES.items()}}
        for kind, prices in ((ASKED, table.models), (TUNED, table.tuned))
        for model, price in prices.items()
    ]
    return pd.DataFrame(rows, columns=["model", "kind", *RATES.values()]).astype(
        dict.fromkeys(RATES.values(), "float64")
    )


def changes(edited: pd.DataFrame, built_in: PriceTable) -> dict[str, Any]:
    """What the edited table says beside or against the one that comes with Maploop."""
    known = {"models": as_json(built_in.models), "tuned": as_json(built_in.tuned)}
    found: dict[str, Any] = {"models": {}, "tuned": {}}
    for row in edited.to_dict("records"):
        name = row["model"].strip() if isinstance(row["model"], str) else ""
        kind = "tuned" if row["kind"] == TUNED else "models"
        rates = {rate: None if pd.isna(row[label]) else float(row[label]) for rate, label in RATES.items()}
        if (name or any(rate is not None for rate in rates.values())) and known[kind].get(name) != rates:
            found[kind][name] = rates
    return found


def as_json(prices: dict[str, Price]) -> dict[str, Any]:
    """Prices as plain values."""
    return {name: price.model_dump() for name, price in prices.items()}


def save(changed: dict[str, Any], kept: OwnPrices) -> None:
    """Keep what was changed, dated today."""
    pictures = kept.model_dump()["image_tokens"]
    try:
        save_prices({"date": f"{datetime.now(UTC):%Y-%m-%d}", "image_tokens": pictures, **changed})
    except MaploopError as error:
        show_error(error)
        return
    say_next("The prices are saved: estimates and runs from now on go by them.")
    st.rerun()
