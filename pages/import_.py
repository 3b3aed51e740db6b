"""Import: a new project, imagery, predictions, known truth, the area; and what was imported, to take it back."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import streamlit as st
from shapely.geometry.base import BaseGeometry
from streamlit.runtime.uploaded_file_manager import UploadedFile

from maploop.api.uploads import place_upload
from maploop.cli_output import counts_of, pixels_of
from maploop.database import open_database
from maploop.errors import MaploopError
from maploop.imagery.raster_options import parse_raster_options
from maploop.imagery.register import parse_bounds, parse_scheme, register_imagery
from maploop.imagery.uploads import file_name, kept
from maploop.predict.file import import_predictions
from maploop.project import create_project, parse_class
from maploop.review.truth import import_annotations
from maploop.settings import get_settings
from maploop.vectors.area import read_area
from pages.acts import show_error, show_notice
from pages.common import Context, choose_context, heading, heading_without_project
from pages.import_area import ask_area
from pages.import_record import show_imports
from pages.links import plain
from pages.split import show_split

VECTOR_TYPES = [
    *("geojson", "json", "geojsonl", "ndjson", "gpkg", "parquet", "geoparquet", "shp", "zip", "fgb"),
    *("gz", "kml", "kmz", "gml", "osm", "csv", "xml"),
]
IMAGERY_TYPES = ["tif", "tiff"]
SCHEMES = {"as found": None, "z/x/y, rows from the north": "xyz", "rows from the south (TMS)": "tms", "z/y/x": "zyx"}
MAY_LEAVE = {"where training is allowed": None, "yes": True, "no": False}


def ask_project() -> None:
    """The form that makes a project."""
    with st.form("new_project", border=False):
        name = st.text_input("Name", key="new_name", placeholder="Kampala roofs")
        classes = st.text_area(
            "Classes, one a line",
            "building:polygon\nroad:line",
            key="new_classes",
            help="NAME:polygon, NAME:line or NAME:point. The first nine get the keys 1 to 9.",
        )
        zoom = st.number_input(
            "Working zoom",
            1,
            23,
            19,
            key="new_zoom",
            help="The zoom of one unit of work. A tile is 512 pixels: 0.15 m a pixel at zoom 19 near the equator.",
        )
        if st.form_submit_button("Create project", type="primary", key="create_project"):
            database = open_database()
            with database.write() as connection:
                wanted = [parse_class(line) for line in classes.splitlines() if line.strip()]
                project = create_project(connection, name, wanted, zoom=int(zoom))
            st.query_params["project"] = project.name
            st.rerun()


def ask_imagery(found: Context) -> None:
    """The form that makes imagery known."""
    with st.form("imagery", border=False):
        location = st.text_input(
            "Path or address",
            key="imagery_location",
            placeholder="/maps/kampala.tif, a folder of tiles, https://…/{z}/{x}/{y}.png, or a WMS address",
        )
        upload = st.file_uploader("…or a GeoTIFF from this computer", IMAGERY_TYPES, key="imagery_file")
        attribution = st.text_input("Attribution, shown on the map", key="imagery_attribution")
        licence = st.text_input("Licence", key="imagery_licence", placeholder="CC BY 4.0")
        may_train = st.checkbox("Its terms allow training models", value=True, key="imagery_may_train")
        may_leave = st.selectbox(
            "Pictures may be sent to other parties, such as a chat model's server",
            list(MAY_LEAVE),
            key="imagery_may_leave",
            help="Where not, models elsewhere are not asked about its tiles, and nothing of it is uploaded or bundled.",
        )
        bounds = st.text_input(
            "Bounds, only needed for a server",
            key="imagery_bounds",
            placeholder="west,south,east,north in degrees",
        )
        left, right = st.columns(2)
        scheme = left.selectbox(
            "A folder's tiles are named",
            list(SCHEMES),
            key="imagery_scheme",
            help="Found out by what the project covers, or by a tilemapresource.xml.",
        )
        max_zoom = right.number_input(
            "Deepest zoom of a server", 0, 24, None, key="imagery_max_zoom", placeholder="found by trying"
        )
        check = st.checkbox("Fetch a few tiles of a server first, and refuse if none comes", True, key="imagery_check")
        with st.expander("What a GeoTIFF does not say, or says wrongly"):
            left, right = st.columns(2)
            crs = left.text_input("CRS", key="imagery_crs", placeholder="EPSG:32636")
            bands = right.text_input(
                "Bands shown as red, green and blue", key="imagery_bands", placeholder="found by name: 4,3,2"
            )
            stretch = left.text_input(
                "Values shown as black and white", key="imagery_stretch", placeholder="found in the file: 0,3000"
            )
            nodata = right.number_input(
                "Value of pixels that hold nothing", value=None, key="imagery_nodata", placeholder="the file says"
            )
        if st.form_submit_button("Import imagery", type="primary", key="import_imagery"):

            def work(progress: Callable[[str], None]) -> dict[str, Any]:
                with kept_imagery(upload) if upload else nullcontext(location) as source:
                    return register_imagery(
                        found.database,
                        found.project,
                        source,
                        licence=licence or None,
                        attribution=attribution or None,
                        may_train=may_train,
                        may_leave=MAY_LEAVE[may_leave],
                        bounds=parse_bounds(bounds) if bounds.strip() else None,
                        max_zoom=int(max_zoom) if max_zoom is not None else None,
                        scheme=parse_scheme(SCHEMES[scheme]),
                        raster=parse_raster_options(crs, bands, stretch, nodata),
                        check=check,
                        annotator=found.annotator,
                        progress=progress,
                    )

            show_report(work)


def ask_features(found: Context, what: str) -> None:
    """The form that imports predictions or known truth."""
    names = [each.name for each in found.project.classes]
    with st.form(what, border=False):
        upload = st.file_uploader(
            "GeoJSON, GeoPackage, GeoParquet, Shapefile (zipped), KML, CSV with WKT, COCO, Label Studio, …",
            VECTOR_TYPES,
            key=f"{what}_file",
        )
        model = st.text_input("Model", key="predictions_model", placeholder="roofs-v1") if what == "predictions" else ""
        left, middle, right = st.columns(3)
        one_class = left.selectbox("All are of class", ["the file says", *names], key=f"{what}_class")
        class_field = middle.text_input("Class field", key=f"{what}_class_field", placeholder="found by itself")
        score_field = right.text_input(
            "Score field", key=f"{what}_score_field", placeholder="found by itself", disabled=what != "predictions"
        )
        crs = left.text_input("CRS, if the file does not say", key=f"{what}_crs", placeholder="EPSG:32636")
        again = complete_all = False
        area = None
        if what == "predictions":
            again = st.checkbox("Import again although the model has this very file", key="predictions_again")
        else:
            area = st.file_uploader(
                "Area within which the truth is complete, if it is known",
                VECTOR_TYPES,
                key="annotations_area",
                help="Polygons. Tiles wholly within become complete, those without a feature too. Without it, tiles "
                "at the rim of the file stay open, as it may cover them in part only.",
            )
            complete_all = st.checkbox(
                "Tiles in the file's extent without a feature are empty in truth, too", key="annotations_complete_all"
            )
        outside = st.checkbox(
            "Import it also when none of it lies on the project's imagery", key=f"{what}_outside_imagery"
        )
        if not st.form_submit_button(f"Import {what}", type="primary", key=f"import_{what}"):
            return
        if upload is None:
            st.warning("Choose a file first.")
            return
        fields: dict[str, Any] = {
            "class_name": None if one_class == "the file says" else one_class,
            "class_field": class_field.strip() or None,
            "source_crs": crs.strip() or None,
            "outside_imagery": outside,
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file_name(upload.name)
            place_upload(upload.getbuffer(), path)
            if what == "predictions":
                show_report(
                    lambda progress: import_predictions(
                        found.database,
                        found.project,
                        path,
                        model_name=model,
                        score_field=score_field.strip() or None,
                        again=again,
                        annotator=found.annotator,
                        apart=True,
                        progress=progress,
                        **fields,
                    ),
                    folder,
                )
            else:
                show_report(
                    lambda progress: import_annotations(
                        found.database,
                        found.project,
                        path,
                        annotator=found.annotator,
                        area=None if area is None else kept_area(area, Path(folder)),
                        complete_all=complete_all,
                        apart=True,
                        progress=progress,
                        **fields,
                    ),
                    folder,
                )


@contextmanager
def kept_imagery(upload: UploadedFile) -> Iterator[Path]:
    """Uploaded imagery in the data folder, for as long as it is imported and, when that succeeds, for good."""
    folder = get_settings().data_folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=folder) as there:
        path = Path(there) / file_name(upload.name)
        place_upload(upload.getbuffer(), path)
        with kept(upload.name, path) as source:
            yield source


def kept_area(upload: UploadedFile, folder: Path) -> BaseGeometry:
    """The area in an uploaded file. Raises VectorError."""
    path = folder / f"area-{file_name(upload.name)}"
    place_upload(upload.getbuffer(), path)
    return read_area(path)


def show_report(work: Callable[[Callable[[str], None]], dict[str, Any]], folder: str = "") -> None:
    """Run an import with its progress, then say what went in, what was repaired and what was left out.

    `folder` is where an upload lies for now: errors name the file without it.
    """
    cancel.button("Cancel the import", key="cancel_import", icon=":material/close:", on_click=_note_cancelled)
    with st.status("Importing", expanded=False) as status:
        try:
            report = work(lambda text: status.update(label=text))
        except MaploopError as error:
            cancel.empty()
            status.update(label="Nothing was imported", state="error", expanded=True)
            says = str(error).replace(f"{folder}/", "") if folder else str(error)
            st.error(plain(says), icon=":material/error:")
            return
        cancel.empty()
        status.update(label="Imported", state="complete", expanded=True)
        if "imagery" not in report and report.get("kind") != "area":
            show_rows(report)
        st.markdown(plain(counts_of(report)) or "No tiles yet: they come with the features.")
        for line in [*pixels_of(report), *report.get("says", ())]:
            st.caption(plain(line))
        if report.get("advice"):
            st.warning(plain(report["advice"]), icon=":material/border_outer:")


def _note_cancelled() -> None:
    """Say after the rerun, which a click brings and which ends the import, that it was cancelled."""
    st.session_state["import_cancelled"] = True


def show_rows(report: dict[str, Any]) -> None:
    """What became of the rows of a file: how many, and which were repaired or left out, and why."""
    with st.container(horizontal=True, key="report"):
        st.metric("Rows read", f"{report['read']:,}", border=True)
        st.metric(
            "Features imported", f"{report['imported']:,}", border=True, help="A row of several parts makes several."
        )
        st.metric("Repaired", f"{report['repaired']:,}", border=True)
        st.metric("Skipped", f"{len(report['skipped']):,}", border=True)
    for key, title in (("repairs", "Repaired, by row"), ("skipped", "Skipped, by row")):
        if report[key]:
            st.caption(title)
            st.dataframe(report[key], hide_index=True, key=key)


found = choose_context()
if st.session_state.pop("import_cancelled", False):
    st.info("The import was cancelled: nothing was imported.", icon=":material/cancel:")
cancel = st.empty()  # outside of the forms, which have no buttons but their own
new_project = st.container()
if found:
    heading("Import", found)
    show_notice()
    imagery, predictions, annotations, area, imports, new_project = st.tabs(
        ["Imagery", "Predictions", "Known truth", "Area", "Imports", "New project"]
    )
    with imagery:
        ask_imagery(found)
    with predictions:
        ask_features(found, "predictions")
    with annotations:
        st.caption("Truth that is known already: tiles that it covers wholly come in complete, and are split as usual.")
        ask_features(found, "annotations")
    with area:
        ask_area(found, VECTOR_TYPES, show_report)
    with imports:
        show_imports(found)
else:
    with new_project:
        heading_without_project("Import")
        st.subheader("New project", anchor=False)
with new_project:
    try:
        ask_project()
    except MaploopError as error:
        show_error(error)
if found:
    show_split(found)
