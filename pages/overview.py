"""Overview: where the loop stands, and the one next thing to do."""

from collections.abc import Mapping
from typing import Any

import folium
import streamlit as st
from streamlit_folium import st_folium

from maploop.coverage import Backdrop, Coverage, backdrops_of, coverage_of
from maploop.overview import Overview, PersonProgress, overview_of
from maploop.review.element import local_map
from pages.charts import STATUSES, VERDICTS, columns_with_numbers, stacked_bar, stacked_bars
from pages.common import Context, context, heading
from pages.links import open_page, plain
from pages.maps import backdrop

MAP_HEIGHT = 560
# Told apart without colour too: by how full a square is, and by the line round it.
STYLES: Mapping[str, Mapping[str, Any]] = {
    "open": {"weight": 1, "dashArray": "2 4", "fillOpacity": 0.08},
    "returned": {"weight": 3, "dashArray": "8 4", "fillOpacity": 0.3},
    "complete": {"weight": 1.5, "fillOpacity": 0.35},
    "approved": {"weight": 1.5, "fillOpacity": 0.75},
}


def show_next_step(found: Context, overview: Overview) -> None:
    """One sentence and its button."""
    step = overview.next_step
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="next"):
        st.markdown(f":material/arrow_forward: **{step.text}**", width="stretch")
        if st.button(step.label, type="primary", key="next_step"):
            open_page(step.page, found.project.name, **step.query)


def show_numbers(overview: Overview) -> None:
    """The project in five numbers."""
    decided = sum(each.decided for each in overview.classes)
    features = decided + sum(each.undecided for each in overview.classes)
    annotations = sum(each.annotations for each in overview.classes)
    with st.container(horizontal=True, key="numbers"):
        st.metric("Tiles finished", share(overview.finished_tiles, overview.total_tiles), border=True, width="content")
        st.metric("Approved", f"{overview.tiles['approved']:,}", border=True, width="content")
        st.metric("Features decided", share(decided, features), border=True, width="content")
        st.metric(
            "Annotations", f"{annotations:,}", border=True, width="content", help="Features that belong on the map."
        )
        st.metric("Held now", f"{overview.claimed:,}", border=True, width="content", help="Tiles somebody has open.")


def share(part: int, whole: int) -> str:
    """`12 of 40`, as people say it."""
    return f"{part:,} of {whole:,}" if whole else "–"


def show_map(found: Context, overview: Overview, coverage: Coverage, backdrops: list[Backdrop]) -> None:
    """The tiles on a map, coloured by status; a click opens one for review."""
    if not coverage.cells:
        st.info("The map appears here once imagery or predictions are there.", icon=":material/map:")
        return
    west, south, east, north = coverage.bounds
    base = local_map(prefer_canvas=True, zoom_snap=0.25)
    base.fit_bounds([[south, west], [north, east]])
    squares = folium.FeatureGroup("tiles")
    for each in backdrops:
        backdrop(found, each).add_to(squares)
    folium.GeoJson(
        coverage.geojson(),
        style_function=style_of,
        tooltip=folium.GeoJsonTooltip(fields=["says"], labels=False),
    ).add_to(squares)
    clicked = st_folium(
        base,
        key="coverage",
        height=MAP_HEIGHT,
        use_container_width=True,
        feature_group_to_add=squares,
        returned_objects=["last_active_drawing"],
    )
    gathered = "" if coverage.zoom == found.project.zoom else " A square stands for several tiles."
    bare = f" {overview.without_imagery:,} have no imagery." if overview.without_imagery else ""
    if overview.pixels.holes:
        bare += f" On {overview.pixels.holes:,} the imagery has no pixels."
    if overview.pixels.partial:
        bare += f" {overview.pixels.partial:,} have pixels in part only."
    credits = " ".join(dict.fromkeys(f" {plain(each.attribution)}." for each in backdrops if each.attribution))
    st.caption(f"Click a square to review it.{gathered}{bare}{credits}")
    square = (clicked or {}).get("last_active_drawing")
    if square:
        open_page("review", found.project.name, tile=square["properties"]["opens"])


def show_tiles(overview: Overview) -> None:
    """How many tiles stand where."""
    st.subheader("Tiles", anchor=False)
    if not overview.total_tiles:
        st.caption("No tiles yet.")
        return
    bar = stacked_bar(overview.tiles, STATUSES, "tiles")
    st.altair_chart(bar, key="tiles_by_status", alt="Tiles by status")
    if overview.without_run:
        unseen = f"{overview.without_run:,} {'tile' if overview.without_run == 1 else 'tiles'} without a run"
        st.caption(f"{unseen}: no model has looked there, so nothing predicted does not mean that nothing is there.")


def style_of(square: Mapping[str, Any]) -> dict[str, Any]:
    """Leaflet's path options of a square."""
    status = square["properties"]["status"]
    return {"color": STATUSES[status], "fillColor": STATUSES[status], "opacity": 0.9, **STYLES[status]}


def show_classes(overview: Overview) -> None:
    """Progress by class."""
    st.subheader("Classes", anchor=False)
    rows = [
        {"name": f"{each.name} ({each.decided + each.undecided:,})", "verdict": verdict, "count": count}
        for each in overview.classes
        for verdict, count in {**each.verdicts, "undecided": each.undecided}.items()
        if count
    ]
    if not rows:
        st.caption("No features yet.")
        return
    chart = stacked_bars(rows, "class", VERDICTS)
    st.altair_chart(chart, key="progress_by_class", alt="Verdicts by class")


def show_scores(overview: Overview) -> None:
    """Whether the model's score is worth anything."""
    st.subheader("Verdicts by score", anchor=False)
    scores = overview.scores
    if not scores.scored:
        st.caption("Once predictions with scores are decided, this shows whether the score tells right from wrong.")
        return
    rows = [
        {"name": f"{band.low:.1f}–{band.high:.1f}", "verdict": verdict, "count": count}
        for band in scores.bands
        for verdict, count in band.verdicts.items()
    ]
    chart = columns_with_numbers(rows, "score", VERDICTS)
    st.altair_chart(chart, key="verdicts_by_score", alt="Verdicts by the model's score")
    if scores.order is None:
        says = "Needs kept and rejected predictions to compare."
    else:
        says = f"A kept prediction scores above a rejected one in {100 * scores.order:.0f} % of pairs; 50 % is chance."
    st.caption(f"{says} From {scores.scored:,} of {scores.total:,} decided features.")


def show_people(overview: Overview) -> None:
    """Progress and speed by person."""
    st.subheader("People", anchor=False)
    if not overview.people:
        st.caption("Nobody has decided anything yet.")
        return
    st.dataframe(
        [person_row(each) for each in overview.people],
        hide_index=True,
        key="people",
        placeholder="–",
        column_config={
            "tiles / h": st.column_config.NumberColumn(format="%.0f", help="While at work: breaks are left out."),
            "features / h": st.column_config.NumberColumn(format="%.0f"),
        },
    )


def person_row(person: PersonProgress) -> dict[str, Any]:
    """One person as a row of the table."""
    return {
        "name": person.name,
        "complete": person.complete,
        "approved": person.approved,
        "returned": person.returned,
        "decisions": person.decisions,
        "tiles / h": person.tiles_per_hour,
        "features / h": person.decisions_per_hour,
    }


found = context()
with found.database.read() as connection:
    overview = overview_of(connection, found.project, found.annotator_id)
    coverage = coverage_of(connection, found.project)
    backdrops = backdrops_of(connection, found.project)
heading("Overview", found)
show_next_step(found, overview)
left, right = st.columns(2, gap="medium")
with left:
    show_map(found, overview, coverage, backdrops)
with right:
    show_numbers(overview)
    show_tiles(overview)
    show_classes(overview)
left, right = st.columns(2, gap="medium")
with left:
    show_scores(overview)
with right:
    show_people(overview)
