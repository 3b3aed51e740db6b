"""The comparison that the page shows: what is asked for, made once and kept while nothing it rests on changes."""

from dataclasses import dataclass

import streamlit as st

from maploop.compare.score_cuts import cuts_in_use
from maploop.compare.sidebyside import Comparison, compare_models
from maploop.imagery.tilemath import Tile
from maploop.report.freshness import stamp_of
from maploop.report.remaking import kept_ids
from pages.common import Context

MADE = "comparison_made"


@dataclass(frozen=True)
class Wish:
    """Which models are to be compared, and on which tiles: of a split, or where that is empty, those named.

    cut     count each model's predictions from the score on with which it is used, see `score_cuts.cuts_in_use`
    """

    names: tuple[str, ...]
    split: str
    tiles: tuple[Tile, ...]
    cut: bool = True


@dataclass(frozen=True)
class Made:
    """A comparison that was made, under which ids its evaluations are kept, and what it was made from."""

    comparison: Comparison
    evaluation_ids: tuple[int, ...]
    key: object


def compared(found: Context, wish: Wish) -> Made:
    """The comparison, made now, or the one made before when nothing has changed since. Raises MaploopError."""
    with found.database.read() as connection:
        key: tuple[object, ...] = (wish, stamp_of(connection, found.project, wish.names, wish.split, wish.tiles))
        if wish.cut:
            key = (*key, stamp_of(connection, found.project, wish.names, "validation"))
        kept = st.session_state.get(MADE)
        if isinstance(kept, Made) and kept.key == key:
            return kept
        with st.spinner("Comparing"):
            cuts = cuts_in_use(connection, found.project, wish.names) if wish.cut else {}
            comparison = compare_models(
                connection, found.project, wish.names, split=wish.split or "test", tiles=wish.tiles, cuts=cuts
            )
    with found.database.write() as connection:
        ids = kept_ids(connection, found.project, found.annotator_id, comparison)
    made = Made(comparison, tuple(ids), key)
    st.session_state[MADE] = made
    return made
