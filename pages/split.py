"""The split before work begins: its blocks on a map, how the sides came out, and its settings while it may change."""

from collections.abc import Mapping, Sequence
from typing import Any

import folium
import streamlit as st
from streamlit_folium import st_folium

from maploop.coverage import backdrops_of
from maploop.dataset.blocks import (
    BlockView,
    SplitSide,
    list_blocks,
    may_split_anew,
    split_anew,
    split_sides,
    split_warning,
)
from maploop.review.element import local_map
from pages.acts import act
from pages.common import Context
from pages.links import plain
from pages.maps import backdrop

MAX_TILES, MAX_BLOCKS = 100_000, 5_000
MAP_HEIGHT = 420
SIDES = {"train": "#0072B2", "validation": "#F0E442", "test": "#D55E00"}
# Told apart without colour too: by how full a square is, and by the line round it.
STYLES: Mapping[str, Mapping[str, Any]] = {
    "train": {"weight": 1, "fillOpacity": 0.15},
    "validation": {"weight": 2, "dashArray": "6 4", "fillOpacity": 0.4},
    "test": {"weight": 3, "fillOpacity": 0.55},
}


def show_split(found: Context) -> None:
    """How the split came out, where it lies, and how it can be changed."""
    with found.database.read() as connection:
        sides = split_sides(connection, found.project)
        free = may_split_anew(connection, found.project)
        tiles = sum(each.tiles for each in sides)
        blocks = list_blocks(connection, found.project) if 0 < tiles <= MAX_TILES else []
    if not tiles:
        return
    st.subheader("Split", anchor=False)
    if warning := split_warning(found.project, sides):
        st.warning(plain(warning), icon=":material/warning:")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_blocks(found, blocks)
    with right:
        show_sides(sides)
        if free:
            ask_split(found)
        else:
            st.caption("The split stands: tiles were decided on, finished, set aside as blind, frozen or evaluated.")


def show_blocks(found: Context, blocks: Sequence[BlockView]) -> None:
    """The blocks on a map, coloured by their side."""
    if not 0 < len(blocks) <= MAX_BLOCKS:
        st.caption("There are too many blocks to draw.")
        return
    bounds = [each.address.bounds for each in blocks]
    base = local_map(prefer_canvas=True, zoom_snap=0.25)
    base.fit_bounds([
        [min(each[1] for each in bounds), min(each[0] for each in bounds)],
        [max(each[3] for each in bounds), max(each[2] for each in bounds)],
    ])  # fmt: skip
    squares = folium.FeatureGroup("blocks")
    with found.database.read() as connection:
        for each in backdrops_of(connection, found.project):
            backdrop(found, each).add_to(squares)
    folium.GeoJson(
        {"type": "FeatureCollection", "features": [square_of(each) for each in blocks]},
        style_function=style_of,
        tooltip=folium.GeoJsonTooltip(fields=["says"], labels=False),
    ).add_to(squares)
    st_folium(
        base,
        key="split_map",
        height=MAP_HEIGHT,
        use_container_width=True,
        feature_group_to_add=squares,
        returned_objects=[],
    )


def square_of(block: BlockView) -> dict[str, Any]:
    """A block as GeoJSON."""
    tiles = "1 tile" if block.tiles == 1 else f"{block.tiles} tiles"
    return {
        "type": "Feature",
        "properties": {"split": block.split, "says": f"{block.split}, {tiles}"},
        "geometry": block.address.polygon.__geo_interface__,
    }


def style_of(square: Mapping[str, Any]) -> dict[str, Any]:
    """Leaflet's path options of a block."""
    split = square["properties"]["split"]
    return {"color": SIDES[split], "fillColor": SIDES[split], "opacity": 0.9, **STYLES[split]}


def show_sides(sides: Sequence[SplitSide]) -> None:
    """Tiles and blocks of each side, beside what was wished."""
    total = sum(each.tiles for each in sides)
    st.dataframe(
        [
            {
                "side": each.name,
                "wished": f"{100 * each.wish:.0f} %",
                "is": f"{100 * each.tiles / total:.0f} %",
                "tiles": each.tiles,
                "blocks": each.blocks,
            }
            for each in sides
        ],
        hide_index=True,
        key="split_sides",
    )
    st.caption("Blocks of neighbouring tiles go to one side each, for ever. Test blocks are never trained on.")


def ask_split(found: Context) -> None:
    """Shares and size of blocks, while nothing was decided."""
    settings = found.project.settings
    sizes = {None: "by the extent", 0: "1 tile", 1: "2 × 2 tiles", 2: "4 × 4 tiles", 3: "8 × 8 tiles"}
    offset = settings.block_zoom_offset
    with st.form("split", border=True):
        validation = st.number_input(
            "Validation, %", 0.0, 50.0, 100 * settings.validation_share, 5.0, "%.0f", key="split_validation"
        )
        test = st.number_input("Test, %", 0.0, 50.0, 100 * settings.test_share, 5.0, "%.0f", key="split_test")
        size = st.selectbox(
            "Blocks",
            list(sizes),
            index=list(sizes).index(offset if offset in sizes else None),
            format_func=lambda each: sizes[each],
            key="split_blocks",
        )
        if st.form_submit_button("Split anew", key="split_anew"):
            act(
                found,
                "The tiles are split anew.",
                lambda connection: split_anew(
                    connection,
                    found.project,
                    validation_share=validation / 100,
                    test_share=test / 100,
                    block_zoom_offset=size,
                ),
            )
