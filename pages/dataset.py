"""Dataset: freeze finished tiles, export them, download what was exported before."""

import time

import streamlit as st

from maploop.dataset.datasets import DatasetView, Progress, freeze, list_datasets
from maploop.dataset.formats import FORMATS
from maploop.dataset.job import tiles_are
from maploop.dataset.selection import Scope
from maploop.dataset.shelf import StoredExport, shelve, stored_exports
from maploop.dataset.snapshot import SPLITS
from maploop.dataset.survey import Survey, survey_of
from maploop.errors import MaploopError
from maploop.imagery.tilemath import Tile
from pages.acts import show_error
from pages.common import Context, context, heading
from pages.links import open_page, plain

SCOPES: dict[Scope, str] = {"approved": "Approved tiles", "complete": "Complete tiles too"}
SECONDS_BETWEEN_UPDATES = 0.1
SHOWN_TILES = 200


def ask_scope() -> Scope:
    """Which tiles are good enough."""
    return st.segmented_control(
        "Tiles",
        list(SCOPES),
        default="approved",
        required=True,
        format_func=SCOPES.__getitem__,
        key="scope",
        help="Approved tiles passed a spot check. Complete ones were finished by one person.",
    )


def show_survey(survey: Survey) -> None:
    """What would go in, by class and split, and what would not."""
    rows = [{"": name, **counts} for name, counts in survey.annotations.items()]
    st.dataframe([*rows, {"": "tiles", **survey.tiles}], hide_index=True, key="survey", width="content")
    empty = [split for split in SPLITS if not survey.tiles[split]]
    if empty:
        st.caption(f"No tile fell into {' and '.join(empty)} so far: the split goes by blocks of neighbouring tiles.")
    show_tiles("held_out", survey.held_out, "held out: somebody is unsure of a feature there")
    for number, (name, tiles) in enumerate(survey.untrainable.items()):
        why = f"refused by every training format: the terms of {plain(name)} forbid training"
        show_tiles(f"untrainable_{number}", tiles, why)
    if survey.without_pixels:
        st.caption(f"{survey.without_pixels:,} tiles have no pixels: formats that train leave them out.")
    if survey.second_looks:
        st.caption(f"On {survey.second_looks:,} tiles a newer prediction waits for a decision; they go in as they are.")


def show_tiles(key: str, tiles: tuple[Tile, ...], why: str) -> None:
    """The tiles that stay out, by address."""
    if tiles:
        with st.expander(f"{tiles_are(len(tiles))} {why}", icon=":material/block:", key=key):
            more = len(tiles) - SHOWN_TILES
            st.text("  ".join(map(str, tiles[:SHOWN_TILES])) + (f"  and {more:,} more" if more > 0 else ""))


def ask_export(found: Context, scope: Scope) -> None:
    """Formats and the one button."""
    formats = st.multiselect(
        "Formats", list(FORMATS), default=["openai"], format_func=lambda name: FORMATS[name].label, key="formats"
    )
    coco_images = "coco" in formats and st.checkbox("COCO with images", value=True, key="coco_images")
    if st.button("Export", type="primary", icon=":material/archive:", disabled=not formats, key="export"):
        run_export(found, scope, formats, coco_images)


def run_export(found: Context, scope: Scope, formats: list[str], coco_images: bool) -> None:
    """Freeze and export, telling how far; Cancel reruns the page, which ends this run and clears what it left."""
    place = st.empty()
    with place.container(horizontal=True, vertical_alignment="center", key="exporting"):
        bar = st.progress(0.0, "Reading annotations")
        st.button("Cancel", key="cancel_export")
    told = 0.0

    def tell(done: int, total: int, text: str) -> None:
        nonlocal told
        if time.monotonic() - told >= SECONDS_BETWEEN_UPDATES:
            told = time.monotonic()
            bar.progress(done / max(total, 1), f"{text}, {done:,} of {total:,}")

    try:
        export_all(found, scope, formats, coco_images, tell)
    except MaploopError as error:
        show_error(error)
    finally:
        place.empty()


def export_all(found: Context, scope: Scope, formats: list[str], coco_images: bool, tell: Progress) -> None:
    """One frozen dataset in every format chosen."""
    dataset = freeze(found.database, found.project, tiles=scope, annotator=found.annotator, progress=tell)
    reports = shelve(found.database, dataset, formats, coco_images=coco_images, progress=tell)
    files = sum(len(each.files) for each in reports)
    st.success(f"Dataset {dataset.id[:12]} is exported: {files:,} files.", icon=":material/check_circle:")


def show_dataset(found: Context, dataset: DatasetView, first: bool) -> None:
    """One frozen dataset, what was exported of it, and the way to a model."""
    tiles = dataset.manifest["tiles"]
    title = f"{dataset.id[:12]} · {dataset.created_at:%Y-%m-%d %H:%M} UTC · {tiles['total']:,} tiles"
    with st.expander(title, expanded=first, key=f"dataset_{dataset.id[:12]}"):
        st.caption(plain(f"{dataset.manifest['scope']} tiles, frozen by {dataset.created_by}; id {dataset.id}"))
        exports = stored_exports(dataset)
        with st.container(horizontal=True):
            if st.button("Tune a model on it", icon=":material/school:", key=f"tune_{dataset.id[:12]}"):
                open_page("models", found.project.name, part="Tune", dataset=dataset.id[:12])
            for each in exports:
                offer(dataset, each)
        for each in exports:
            for note in (*each.notes, *cost_notes(each)):
                st.caption(plain(f"{FORMATS[each.format].label}: {note}"))
        card, manifest = st.tabs(["Card", "Manifest"])
        card.code(exports[0].card if exports else "Export the dataset to get its card.", language="markdown")
        with manifest:
            shown = {name: each.manifest["export"] for each in exports for name in [each.format]}
            st.json({**dataset.manifest, "exports": shown}, expanded=1)


def cost_notes(stored: StoredExport) -> list[str]:
    """What training on the files would cost, where that was estimated."""
    estimate = stored.manifest["export"].get("estimate")
    if not estimate:
        return []
    costs = ", ".join(f"{cost:,.2f} {estimate['currency']} on {model}" for model, cost in estimate["cost"].items())
    return [
        f"training takes about {estimate['billed_tokens']:,} tokens in {estimate['epochs']} epochs: "
        f"{costs} (prices of {estimate['prices_of']})."
    ]


def offer(dataset: DatasetView, stored: StoredExport) -> None:
    """A download of all files as one zip, made when it is asked for."""
    st.download_button(
        f"{FORMATS[stored.format].label} · {stored.size / 1e6:,.1f} MB",
        stored.zipped,
        file_name=f"{dataset.id[:12]}-{stored.format}.zip",
        mime="application/zip",
        on_click="ignore",
        icon=":material/download:",
        key=f"download_{dataset.id[:12]}_{stored.format}",
    )


found = context()
heading("Dataset", found)
scope = ask_scope()
with found.database.read() as connection:
    survey = survey_of(connection, found.project, scope)
if survey.nothing:
    st.info(plain(survey.nothing), icon=":material/hourglass_empty:")
    show_tiles("held_out", survey.held_out, "held out: somebody is unsure of a feature there")
    with st.container(horizontal=True):
        if st.button("Review tiles", icon=":material/fact_check:", key="go_review"):
            open_page("review", found.project.name)
        if st.button("Approve tiles", icon=":material/verified:", key="go_quality"):
            open_page("quality", found.project.name)
else:
    show_survey(survey)
    ask_export(found, scope)
datasets = list_datasets(found.database, found.project)
if datasets:
    st.subheader("Datasets", anchor=False)
for place, dataset in enumerate(datasets):
    show_dataset(found, dataset, first=place == 0)
