"""Where the models differ: a map of what each found, made up and missed, and the tiles that went worst."""

from collections.abc import Mapping, Sequence
from typing import Any

import folium
import shapely
import streamlit as st
from shapely.geometry.base import BaseGeometry
from streamlit_folium import st_folium

from maploop.compare.marks import Marks, TileMarks, marks_on, worst_tiles
from maploop.compare.sidebyside import Comparison
from maploop.coverage import backdrops_of
from maploop.imagery.tilemath import Tile
from maploop.report.outlines import MEANS, STROKES
from maploop.report.pictures import cards_of
from maploop.review.element import local_map
from pages.common import Context
from pages.links import open_page, plain, spelled
from pages.maps import backdrop

MAX_TILES = 200
MAX_MARKS = 4000
GALLERY = 12
FIRST, SECOND, BOTH, NEITHER = "#56B4E9", "#E69F00", "#FFFFFF", "#F0E442"
LAYERS: Mapping[str, Mapping[str, Any]] = {
    "found by both": {"color": BOTH, "weight": 1.5},
    "found by 1 only": {"color": FIRST, "weight": 3},
    "found by 2 only": {"color": SECOND, "weight": 3},
    "missed by both": {"color": NEITHER, "weight": 3, "dashArray": "2 6"},
    "false, of 1": {"color": FIRST, "weight": 2.5, "dashArray": "9 6"},
    "false, of 2": {"color": SECOND, "weight": 2.5, "dashArray": "9 6"},
}


def show_ground(found: Context, comparison: Comparison) -> None:
    """Map and gallery of two of the models, or of the only one."""
    pair = ask_pair(comparison)
    show_map(found, comparison, pair)
    show_gallery(found, comparison, pair)


def ask_pair(comparison: Comparison) -> tuple[str, ...]:
    """Which two models are shown."""
    names = comparison.names
    if len(names) <= 2:
        return names
    with st.container(horizontal=True, key="pair"):
        first = str(st.selectbox("1", names, key="pair_first", width=320))
        others = [each for each in names if each != first]
        second = str(st.selectbox("2", others, key="pair_second", width=320))
    return first, second


def show_map(found: Context, comparison: Comparison, pair: tuple[str, ...]) -> None:
    """True, false and missed features of both; layers switch on and off on the map, a click opens the tile."""
    tiles = tiles_to_show(comparison, pair)
    layers, left_out = layers_of(marks_on(comparison, tiles, pair), pair)
    with found.database.read() as connection:
        backdrops = backdrops_of(connection, found.project)
    st.html(legend(pair))
    west, south, east, north = bounds_of(tiles)
    base = local_map(prefer_canvas=True)
    base.fit_bounds([[south, west], [north, east]])
    ground = folium.FeatureGroup("imagery and tiles")
    for each in backdrops:
        backdrop(found, each).add_to(ground)
    folium.GeoJson(
        {"type": "FeatureCollection", "features": [square(tile) for tile in tiles]},
        style_function=lambda _square: {"color": "#FFFFFF", "weight": 1, "opacity": 0.5, "fillOpacity": 0},
    ).add_to(ground)
    groups = [ground]
    for name, features in layers.items():
        group = folium.FeatureGroup(name)
        if features:
            add_features(group, name, features)
        groups.append(group)
    clicked = st_folium(
        base,
        key="compare_map",
        height=520,
        use_container_width=True,
        feature_group_to_add=groups,
        layer_control=folium.LayerControl(collapsed=False),
        returned_objects=["last_active_drawing"],
    )
    credits = " ".join(dict.fromkeys(f" {plain(each.attribution)}." for each in backdrops if each.attribution))
    shown = "" if len(tiles) == len(comparison.tiles) else f" The {len(tiles):,} tiles that went worst are shown."
    less = f" {left_out:,} features more are left out." if left_out else ""
    st.caption(f"Click a tile to open it in review.{shown}{less}{credits}")
    drawing = (clicked or {}).get("last_active_drawing")
    if drawing:
        open_page("review", found.project.name, tile=drawing["properties"]["opens"])


def tiles_to_show(comparison: Comparison, pair: tuple[str, ...]) -> list[Tile]:
    """All tiles, or where they are too many, those where the models shown went worst."""
    if len(comparison.tiles) <= MAX_TILES:
        return list(comparison.tiles)
    worst = {name: worst_tiles(comparison, name, most=MAX_TILES // len(pair)) for name in pair}
    return list(dict.fromkeys(each.tile for tiles in worst.values() for each in tiles))


def layers_of(marks: Marks, pair: tuple[str, ...]) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """GeoJSON features by layer, and how many did not fit."""
    alone = len(pair) == 1
    layers: dict[str, list[dict[str, Any]]] = {
        name: [] for name in LAYERS if not (alone and ("2" in name or name == "found by both"))
    }
    count = 0
    for truth in marks.truth:
        by = [name in truth.found_by for name in pair]
        name = "missed by both" if not any(by) else "found by both" if all(by) and not alone else "found by 1 only"
        if by == [False, True]:
            name = "found by 2 only"
        count += 1
        if count <= MAX_MARKS:
            layers[name].append(feature(truth.tile, truth.geometry, f"{truth.class_name}: {name}"))
    for prediction in marks.predictions:
        if prediction.fate != "true":
            name = "false, of 1" if prediction.model == pair[0] else "false, of 2"
            really = f", is {prediction.true_class}" if prediction.true_class else ""
            score = "" if prediction.score is None else f", score {prediction.score:.2f}"
            count += 1
            if count <= MAX_MARKS:
                layers[name].append(
                    feature(prediction.tile, prediction.geometry, f"{prediction.class_name}: {name}{score}{really}")
                )
    return layers, max(0, count - MAX_MARKS)


def feature(tile: Tile, geometry: BaseGeometry, says: str) -> dict[str, Any]:
    """A GeoJSON feature that says what it is and which tile it opens; what people wrote in it cannot be markup."""
    geometry = shapely.set_precision(geometry, 1e-7, mode="pointwise")
    return {
        "type": "Feature",
        "properties": {"says": spelled(says), "opens": str(tile)},
        "geometry": shapely.geometry.mapping(geometry),
    }


def add_features(group: folium.FeatureGroup, name: str, features: Sequence[dict[str, Any]]) -> None:
    """Draw features of one layer."""
    style = {"fillOpacity": 0.08, "opacity": 1, **LAYERS[name]}
    folium.GeoJson(
        {"type": "FeatureCollection", "features": list(features)},
        style_function=lambda _feature: style,
        marker=folium.CircleMarker(radius=7, fill=True),
        tooltip=folium.GeoJsonTooltip(fields=["says"], labels=False),
    ).add_to(group)


def square(tile: Tile) -> dict[str, Any]:
    """A tile's border."""
    return {
        "type": "Feature",
        "properties": {"opens": str(tile)},
        "geometry": shapely.geometry.mapping(shapely.set_precision(tile.polygon, 1e-7, mode="pointwise")),
    }


def bounds_of(tiles: Sequence[Tile]) -> tuple[float, float, float, float]:
    """West, south, east, north of all of them."""
    west, south, east, north = zip(*(each.bounds for each in tiles), strict=True)
    return min(west), min(south), max(east), max(north)


def legend(pair: tuple[str, ...]) -> str:
    """Which model is 1 and which is 2, in the colours of the map."""
    names = "".join(
        f'<span><b style="background:{colour}">{place}</b> {spelled(name)}</span>'
        for place, (name, colour) in enumerate(zip(pair, (FIRST, SECOND), strict=False), 1)
    )
    return f'<div class="compare-legend">{names}</div>'


def show_gallery(found: Context, comparison: Comparison, pair: tuple[str, ...]) -> None:
    """The worst tiles, both models side by side."""
    st.subheader("Worst tiles", anchor=False)
    worst = ask_worst(comparison, pair)
    if not worst:
        st.caption("There is no such tile.")
        return
    st.html(strokes_legend())
    with found.database.read() as connection:
        cards = cards_of(connection, found.project, comparison, worst, pair)
    with st.container(horizontal=True, key="gallery"):
        for card in cards:
            with st.container(
                border=True, width=640 if len(pair) > 1 else 340, key=f"card_{str(card.tile).replace('/', '_')}"
            ):
                for column, shot in zip(st.columns(len(pair), wrap=False), card.shots, strict=True):
                    with column:
                        says = f"{shot.model}: {shot.text()}"
                        st.image(shot.image, width="stretch", alt=f"Tile {card.tile}, {says}")
                        st.caption(plain(says))
                if st.button(
                    f"Review {card.tile}", key=f"review_{card.tile}", icon=":material/open_in_new:", type="tertiary"
                ):
                    open_page("review", found.project.name, tile=str(card.tile))


def ask_worst(comparison: Comparison, pair: tuple[str, ...]) -> list[TileMarks]:
    """Which tiles count as the worst."""
    choices: dict[str, tuple[str, str | None]] = {f"Most errors of {name}": (name, None) for name in reversed(pair)}
    if len(pair) > 1:
        first, second = pair
        choices = {
            f"{second} worse than {first}": (second, first),
            f"{first} worse than {second}": (first, second),
            **choices,
        }
    picked = str(st.selectbox("Which", list(choices), key="worst_by", width=420))
    model, against = choices[picked]
    return worst_tiles(comparison, model, against=against, most=GALLERY)


def strokes_legend() -> str:
    """How outlines on the pictures are to be read."""
    keys = "".join(
        f'<span><i style="border-top:3px {"solid" if not stroke.dash else "dashed" if stroke.dash > 5 else "dotted"} '
        f'{stroke.colour}"></i> {MEANS[standing]}</span>'
        for standing, stroke in STROKES.items()
    )
    return f'<div class="compare-legend">{keys}</div>'
