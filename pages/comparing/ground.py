"""Where the models differ: a map of what each found, made up and missed, and the tiles that went worst."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import folium
import shapely
import streamlit as st
from shapely.geometry.base import BaseGeometry
from streamlit_folium import st_folium

from maploop.compare.marks import Marks, TileMarks, marks_on, worst_tiles
from maploop.compare.sidebyside import Comparison
from maploop.coverage import backdrops_of
from maploop.imagery.tilemath import Tile
from maploop.report.outlines import MEANS, STROKES, Stroke
from maploop.report.pictures import cards_of
from maploop.review.element import local_map
from pages.common import Context
from pages.links import open_page, plain, spelled
from pages.maps import backdrop

MAX_TILES = 200
MAX_MARKS = 4000
GALLERY = 8
FIRST, SECOND, BOTH, NEITHER = "#56B4E9", "#E69F00", "#FFFFFF", "#F0E442"
Layer = Literal["both", "first", "second", "neither", "false_first", "false_second"]
STYLES: Mapping[Layer, Mapping[str, Any]] = {
    "both": {"color": BOTH, "weight": 1.5},
    "first": {"color": FIRST, "weight": 3},
    "second": {"color": SECOND, "weight": 3},
    "neither": {"color": NEITHER, "weight": 3, "dashArray": "2 6"},
    "false_first": {"color": FIRST, "weight": 2, "dashArray": "8 5"},
    "false_second": {"color": SECOND, "weight": 2, "dashArray": "8 5"},
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
        first = str(st.selectbox("Show", names, key="pair_first", width=320))
        others = [each for each in names if each != first]
        second = str(st.selectbox("beside", others, index=len(others) - 1, key="pair_second", width=320))
    return first, second


def show_map(found: Context, comparison: Comparison, pair: tuple[str, ...]) -> None:
    """True, false and missed features of both; layers switch on and off on the map, a click opens the tile."""
    tiles = tiles_to_show(comparison, pair)
    layers, left_out = layers_of(marks_on(comparison, tiles, pair), pair)
    with found.database.read() as connection:
        backdrops = backdrops_of(connection, found.project)
    west, south, east, north = first_view(comparison, tiles, pair)
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
    for layer, features in layers.items():
        group = folium.FeatureGroup(layer_name(layer, pair))
        if features:
            add_features(group, layer, features)
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


def first_view(comparison: Comparison, tiles: Sequence[Tile], pair: tuple[str, ...]) -> tuple[float, ...]:
    """Bounds to begin with: the worst tile of the last model and what is around it; all of it is too small to see."""
    worst = worst_tiles(comparison, pair[-1], most=1)
    middle = worst[0].tile if worst else tiles[0]
    near = [tile for tile in tiles if max(abs(tile.x - middle.x), abs(tile.y - middle.y)) <= 1]
    west, south, east, north = zip(*(each.bounds for each in near), strict=True)
    return min(west), min(south), max(east), max(north)


def layers_of(marks: Marks, pair: tuple[str, ...]) -> tuple[dict[Layer, list[dict[str, Any]]], int]:
    """GeoJSON features by layer, and how many did not fit."""
    alone = len(pair) == 1
    layers: dict[Layer, list[dict[str, Any]]] = {
        layer: [] for layer in STYLES if not (alone and layer in ("both", "second", "false_second"))
    }
    drawn: list[tuple[Layer, Tile, BaseGeometry, str]] = []
    for truth in marks.truth:
        by = [name in truth.found_by for name in pair]
        layer: Layer = "neither" if not any(by) else "both" if all(by) and not alone else "first" if by[0] else "second"
        missed = f", missed by {' and '.join(truth.missed_by)}" if truth.missed_by else ""
        drawn.append((layer, truth.tile, truth.geometry, f"{truth.class_name}{missed}"))
    for prediction in marks.predictions:
        if prediction.fate != "true":
            layer = "false_first" if prediction.model == pair[0] else "false_second"
            really = f", is {prediction.true_class}" if prediction.true_class else ""
            score = "" if prediction.score is None else f", score {prediction.score:.2f}"
            says = f"{prediction.class_name} of {prediction.model}: false{score}{really}"
            drawn.append((layer, prediction.tile, prediction.geometry, says))
    for layer, tile, geometry, says in drawn[:MAX_MARKS]:
        layers[layer].append(feature(tile, geometry, says))
    return layers, max(0, len(drawn) - MAX_MARKS)


def layer_name(layer: Layer, pair: tuple[str, ...]) -> str:
    """What a layer is called on the map, as HTML: a stroke as it is drawn, and whose features they are."""
    first, second = spelled(pair[0]), spelled(pair[-1])
    alone = len(pair) == 1
    names: Mapping[Layer, str] = {
        "both": "found by both",
        "first": "found" if alone else f"only found by {first}",
        "second": f"only found by {second}",
        "neither": "missed" if alone else "missed by both",
        "false_first": f"false, {first}",
        "false_second": f"false, {second}",
    }
    style = STYLES[layer]
    kind = (
        "dashed" if str(style.get("dashArray", "")).startswith("8") else "dotted" if "dashArray" in style else "solid"
    )
    return f"<i style='border-top: {style['weight']}px {kind} {style['color']}'></i> {names[layer]}"


def feature(tile: Tile, geometry: BaseGeometry, says: str) -> dict[str, Any]:
    """A GeoJSON feature that says what it is and which tile it opens; what people wrote in it cannot be markup."""
    geometry = shapely.set_precision(geometry, 1e-7, mode="pointwise")
    return {
        "type": "Feature",
        "properties": {"says": spelled(says), "opens": str(tile)},
        "geometry": shapely.geometry.mapping(geometry),
    }


def add_features(group: folium.FeatureGroup, layer: Layer, features: Sequence[dict[str, Any]]) -> None:
    """Draw features of one layer."""
    style = {"fillOpacity": 0.08, "opacity": 1, **STYLES[layer]}
    folium.GeoJson(
        {"type": "FeatureCollection", "features": list(features)},
        style_function=lambda _feature: style,
        marker=folium.CircleMarker(radius=5, fill=True),
        tooltip=folium.GeoJsonTooltip(fields=["says"], labels=False),
    ).add_to(group)


def square(tile: Tile) -> dict[str, Any]:
    """A tile's border."""
    return {
        "type": "Feature",
        "properties": {"opens": str(tile)},
        "geometry": shapely.geometry.mapping(shapely.set_precision(tile.polygon, 1e-7, mode="pointwise")),
    }


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
                border=True, width=620 if len(pair) > 1 else 340, key=f"card_{str(card.tile).replace('/', '_')}"
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
        choices[f"{second} worse than {first}"] = (second, first)
        choices[f"{first} worse than {second}"] = (first, second)
    picked = str(st.selectbox("Which", list(choices), key="worst_by", width=420))
    model, against = choices[picked]
    return worst_tiles(comparison, model, against=against, most=GALLERY)


def line_of(stroke: Stroke) -> str:
    """A stroke as CSS calls it."""
    return "solid" if not stroke.dash else "dashed" if stroke.dash > 5 else "dotted"


def strokes_legend() -> str:
    """How outlines on the pictures are to be read."""
    keys = "".join(
        f'<span><i><b style="border-top:3px {line_of(stroke)} {stroke.colour}"></b></i> {MEANS[standing]}</span>'
        for standing, stroke in STROKES.items()
    )
    return f'<div class="compare-legend">{keys}</div>'
