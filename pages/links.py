"""Ways from page to page, and text from people as it is shown."""

import re
from pathlib import Path
from typing import NoReturn

import streamlit as st

PAGES = Path(__file__).parent
FILES = {"import": "import_.py"}
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~$:-])")


def open_page(name: str, project: str, **query: str) -> NoReturn:
    """Go to the page of that address (`review`, `quality`, ...) of a project."""
    st.switch_page(PAGES / FILES.get(name, f"{name}.py"), query_params={"project": project, **query})


def plain(text: str) -> str:
    """Text that people wrote, safe where Streamlit reads Markdown: it stands for itself, no link, no image."""
    return _MARKUP.sub(r"\\\1", text)


def spelled(text: str) -> str:
    """Text that people wrote, safe in HTML, whatever rewrites that or the script it is in before: it stands for itself.

    Every sign that is no letter or digit is written as its number.
    """
    return "".join(each if each.isascii() and each.isalnum() else f"&#{ord(each)};" for each in text)
