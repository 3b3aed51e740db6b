"""A report as plain values, and the one file it becomes: HTML or Markdown that loads nothing from anywhere.

Texts are texts: what people or models wrote is escaped by the templates, so it shows as it was typed. Nothing in a file
depends on when or where it was written.
"""

import base64
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import jinja2
from markupsafe import Markup

from maploop.errors import InputError
from maploop.report.drawing import Figure, to_png, to_svg

Kind = Literal["html", "md"]
KINDS: dict[str, Kind] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-!|&~$:@])")


@dataclass(frozen=True)
class Table:
    """Rows under a head.

    texts       so many columns on the left are words, the others numbers
    strong      rows that stand out
    folded      long: shown when asked for, where the file can do that
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    texts: int = 1
    strong: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A WebP image and what it shows."""

    image: bytes
    says: str


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side under one title."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Section:
    """A heading, what is to be said, and what is to be seen: paragraphs, plots, tables, pictures, notes."""

    title: str
    paragraphs: tuple[str, ...] = ()
    plots: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    points: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """The whole report; `facts` are pairs of what it rests on, its ids among them."""

    title: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


def kind_of(path: Path) -> Kind:
    """The kind of file a path asks for. Raises InputError."""
    try:
        return KINDS[path.suffix.lower()]
    except KeyError:
        msg = f"{path.name!r} is not a report: name a file that ends in .html or .md."
        raise InputError(msg) from None


def written(document: Document, kind: Kind) -> str:
    """The report as one file. The same document gives the same text."""
    return _environment().get_template(f"report.{kind}").render(document=document)


def _markdown(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _inline(figure: Figure) -> Markup:
    return Markup(to_svg(figure))  # noqa: S704  written by `drawing`, which escapes every text


def _shown(what: Figure | Picture) -> str:
    """A plot or a picture in Markdown."""
    if isinstance(what, Picture):
        address = _webp_address(what.image)
    else:
        address = f"data:image/png;base64,{base64.b64encode(to_png(what)).decode()}"
    return f"![{_markdown(what.says)}]({address})"


def _webp_address(image: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(image).decode()}"


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("maploop.report", "."),
        autoescape=jinja2.select_autoescape(("html",)),  # Markdown is escaped by its filter
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(md=_markdown, inline=_inline, shown=_shown, webp=_webp_address)
    return environment
