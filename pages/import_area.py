"""The area of interest on the import page: drawn on the map, or from a file."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import folium
import shapely
import streamlit as st
from folium.plugins import Draw
from shapely.geometry.base import BaseGeometry
from streamlit.runtime.uploaded_file_manager import UploadedFile
from streamlit_folium import st_folium

from maploop.api.uploads import place_upload
from maploop.coverage import area_and_coverage
from maploop.errors import InputError, MaploopError
from maploop.imagery.register_area import import_area
from maploop.imagery.uploads import file_name
from maploop.review.element import local_map
from maploop.vectors.area import area_of_drawings, read_area
from pages.acts import show_error
from pages.common import Context
from pages.maps import backdrop

MAP_HEIGHT = 420
AREA_STYLE = {"color": "#0072B2", "weight": 3, "fillOpacity": 0.05, "dashArray": "6 4"}
TILE_STYLE = {"color": "#999999", "weight": 1, "fillOpacity": 0.05}
_SHAPES = {"polyline": False, "circle": False, "marker": False, "circlemarker": False}
Work = Callable[[Callable[[str], None]], dict[str, Any]]


class LocalDraw(Draw):
    """Leaflet.draw from the scripts that every local map has."""

    default_js: list[tuple[str, str]] = []  # noqa: RUF012  as folium has them
    default_css: list[tuple[str, str]] = []  # noqa: RUF012


def ask_area(found: Context, types: Sequence[str], show_report: Callable[[Work, str], None]) -> None:
    """The map and the upload that set the project's area; `show_report` carries the import out."""
    with found.database.read() as connection:
        area, coverage, backdrops = area_and_coverage(connection, found.project)
    state = "It has none yet: everything counts." if area is None else "The dashed line is the area in force."
    st.caption(
        f"Tiles are made within the area, and only those there are asked about and counted. {state} A new "
        "one takes its place; the tab of imports takes it back."
    )
    upload = st.file_uploader("Polygons from a file", types, key="area_file")
    base = local_map(prefer_canvas=True, zoom_snap=0.25, minZoom=1)  # else imagery says how far out one sees
    if coverage.cells or area is not None:
        west, south, east, north = coverage.bounds if coverage.cells else area.bounds  # type: ignore[union-attr]
        base.fit_bounds([[south, west], [north, east]])
    LocalDraw(draw_options=_SHAPES, show_geometry_on_click=False).add_to(base)  # type: ignore[no-untyped-call]
    shown = folium.FeatureGroup("area")
    for each in backdrops:
        backdrop(found, each).add_to(shown)
    if coverage.cells:
        folium.GeoJson(coverage.geojson(), style_function=lambda _: TILE_STYLE).add_to(shown)
    if area is not None:
        folium.GeoJson(shapely.geometry.mapping(area), style_function=lambda _: AREA_STYLE).add_to(shown)
    drawn = st_folium(
        base,
        key="area_map",
        height=MAP_HEIGHT,
        use_container_width=True,
        feature_group_to_add=shown,
        returned_objects=["all_drawings"],
    )
    st.caption("Or draw rectangles and polygons on the map.")
    if not st.button("Set the area", type="primary", key="set_area"):
        return
    drawings = (drawn or {}).get("all_drawings") or []
    with tempfile.TemporaryDirectory() as folder:
        try:
            ground, source = _chosen(upload, drawings, Path(folder))
        except MaploopError as error:
            show_error(InputError(str(error).replace(f"{folder}/", "")))
            return
        show_report(
            lambda progress: import_area(
                found.database,
                found.project,
                ground,
                source=source,
                annotator=found.annotator,
                progress=progress,
            ),
            folder,
        )


def _chosen(upload: UploadedFile | None, drawings: list[Any], folder: Path) -> tuple[BaseGeometry, str]:
    """The area that was given, and where it is from. Raises InputError, VectorError."""
    if upload is not None and drawings:
        msg = "There are a file and a drawing: remove one of them."
        raise InputError(msg)
    if upload is not None:
        path = folder / file_name(upload.name)
        place_upload(upload.getbuffer(), path)
        return read_area(path), upload.name
    return area_of_drawings(drawings), "drawn on the map"
