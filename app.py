"""One ASGI app: Streamlit's pages, tiles, assets and decisions. `streamlit run app.py` serves all of it."""

import importlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from maploop.api.annotator import ASSETS, STATIC, TabAnnotator
from maploop.api.request_check import LOOPBACK, RequestCheck
from maploop.api.uploads import UploadsToDisk
from maploop.database import open_database
from maploop.sample.seed import start_sample
from maploop.settings import get_settings, hand_down_secrets
from maploop.store.start import OTHERS, check_quickly, clear_drafts, close_to_others
from maploop.web import routes
from maploop.work.office import start_work

# A thread that computes gives way after this long: answers do not wait Python's usual 5 ms behind one that stores.
SWITCH_SECONDS = 0.0005

# What the first page draws with takes a second to import: meanwhile the browser fetches Streamlit's own files.
FIRST_PAGE_NEEDS = ("altair", "folium", "pandas")  # components of Streamlit register with its runtime: not those


def _import_early() -> None:
    for name in FIRST_PAGE_NEEDS:
        importlib.import_module(name)


def allowed_hosts() -> Sequence[str]:
    """Names the app is known by; where Streamlit's setting is empty, which means all, this machine's alone."""
    return st.get_option("server.allowedHosts") or LOOPBACK


def most_upload_bytes() -> int:
    """How large an uploaded file may be."""
    return int(st.get_option("server.maxUploadSize")) << 20


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[dict[str, Any]]:
    """Bring the database up to date before the first page; the rest is made, and gone on with, in the background."""
    sys.setswitchinterval(SWITCH_SECONDS)
    threading.Thread(target=_import_early, name="import-early", daemon=True).start()
    if st.secrets.load_if_toml_exists():
        hand_down_secrets(st.secrets)
    os.umask(OTHERS)  # what the app writes is its owner's alone
    database = open_database()
    check_quickly(database)
    close_to_others(database)
    threading.Thread(target=clear_drafts, name="clear-drafts", daemon=True).start()
    if get_settings().sample:
        start_sample(database)
    start_work(database)
    yield {}


app = st.App(
    "pages/shell.py",
    lifespan=lifespan,
    routes=[*routes(), Mount(ASSETS, StaticFiles(directory=STATIC))],
    middleware=[
        Middleware(RequestCheck, allowed_hosts=allowed_hosts),
        Middleware(TabAnnotator),
        Middleware(UploadsToDisk, most_bytes=most_upload_bytes),
    ],
)
