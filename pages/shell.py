"""The frame round every page: navigation, and errors in Maploop's own words."""

from pathlib import Path

import streamlit as st

from maploop.errors import MaploopError
from pages.acts import show_error
from pages.common import keep_annotator

HERE = Path(__file__).parent

st.set_page_config(page_title="Maploop", page_icon=str(HERE / "icon.svg"), layout="wide")
st.html(HERE / "style.css")

page = st.navigation(
    [
        st.Page("overview.py", title="Overview", icon=":material/monitoring:", url_path="overview", default=True),
        st.Page("import_.py", title="Import", icon=":material/upload_file:", url_path="import"),
        st.Page("review.py", title="Review", icon=":material/fact_check:", url_path="review"),
        st.Page("quality.py", title="Quality", icon=":material/verified:", url_path="quality"),
        st.Page("dataset.py", title="Dataset", icon=":material/dataset:", url_path="dataset"),
        st.Page("models.py", title="Models", icon=":material/neurology:", url_path="models"),
        st.Page("compare.py", title="Compare", icon=":material/balance:", url_path="compare"),
    ],
    position="top",
)
keep_annotator()
try:
    page.run()
except MaploopError as error:
    show_error(error)
