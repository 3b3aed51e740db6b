"""A dataset as a bundle for a self-hosted trainer: made here, taken along as one zip file."""

import re
from pathlib import Path

import streamlit as st

from maploop.dataset.datasets import DatasetView
from maploop.errors import MaploopError
from maploop.tune.bundle import make_bundle
from pages.acts import show_error
from pages.common import Context
from pages.links import plain
from pages.workshop.words import SHORT

BASES = [
    "Qwen/Qwen3-VL-4B-Instruct",
    "Qwen/Qwen3-VL-8B-Instruct",
    "Qwen/Qwen2.5-VL-7B-Instruct",
    "google/gemma-3-4b-it",
]
NAMED = 60  # characters of a file's name


def ask_bundle(found: Context, dataset: DatasetView) -> None:
    """What the scripts are written for, and the bundles that are there."""
    base = st.selectbox(
        "Base",
        BASES,
        key="bundle_base",
        accept_new_options=True,
        width=420,
        help="A vision model of the Hugging Face hub, or a folder on the machine that trains.",
    )
    name = st.text_input("Name of the new model", key="bundle_name", placeholder="after base and dataset", width=420)
    st.caption(
        "One folder with pictures, examples, settings and scripts for trl, ms-swift and LLaMA-Factory, and a README "
        "that says how to train, serve and register the model. Nothing is sent anywhere."
    )
    if st.button("Make the bundle", type="primary", icon=":material/folder_zip:", disabled=not base, key="make_bundle"):
        make(found, dataset, base, name.strip() or None)
    for path in sorted(folder_of(dataset).glob("*.zip")):
        offer(dataset, path)


def folder_of(dataset: DatasetView) -> Path:
    """Where the bundles of a dataset lie."""
    return dataset.folder / "bundles"


def make(found: Context, dataset: DatasetView, base: str, name: str | None) -> None:
    """Make a bundle, telling how far, and say what a person should know of it."""
    called = re.sub(r"[^a-z0-9]+", "-", (name or base.rpartition("/")[2]).casefold()).strip("-")[:NAMED] or "bundle"
    place = st.empty()
    bar = place.progress(0.0, "Reading annotations")

    def tell(done: int, total: int, text: str) -> None:
        bar.progress(done / max(total, 1), text)

    try:
        out = folder_of(dataset) / f"{called}.zip"
        report = make_bundle(found.database, found.project, dataset.id, base, out, name=name, progress=tell)
    except MaploopError as error:
        show_error(error)
        return
    finally:
        place.empty()
    st.success("The bundle is made.", icon=":material/check:")
    for note in report.notes:
        st.caption(plain(note))


def offer(dataset: DatasetView, path: Path) -> None:
    """A download, read when it is asked for."""
    st.download_button(
        f"{path.stem} · {path.stat().st_size / 1e6:,.1f} MB",
        path.read_bytes,
        file_name=f"{dataset.id[:SHORT]}-{path.name}",
        mime="application/zip",
        on_click="ignore",
        icon=":material/download:",
        key=f"bundle_{path.stem}",
    )
