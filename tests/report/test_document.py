"""The one file of a report: it loads nothing, texts in it are texts, and it is the same every time."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from maploop.errors import InputError
from maploop.report.document import Document, Gallery, Picture, Section, Table, kind_of, written
from maploop.report.drawing import Figure, Words

EVIL = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](http://evil.example/b.png) | `c` <script>d</script>"


def a_document(name: str = EVIL) -> Document:
    """A report with every kind of part, each with a name in it."""
    figure = Figure(40, 20, (Words((2, 12), name),), name)
    return Document(
        name,
        name,
        ((name, name),),
        (
            Section(
                name,
                (name,),
                (figure,),
                (Table((name, "F1"), ((name, "0.5"), ("all", "0.6")), name, 1, frozenset({1})),),
                (Gallery(name, (Picture(b"RIFF", name),)),),
                (name,),
            ),
        ),
    )


class Tags(HTMLParser):
    """Every tag with what it points at, and the text between."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attributes:
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "data", "action", "xlink:href"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_shows_names_as_they_were_typed_and_loads_nothing() -> None:
    html = written(a_document(), "html")
    found = Tags(html)
    assert not found.tags & {"script", "link", "iframe", "object", "base", "form", "a"}
    assert found.addresses
    assert all(each.startswith("data:image/webp;base64,") for each in found.addresses)
    assert EVIL in "".join(found.text)
    assert "url(" not in html
    assert "@import" not in html


def test_markdown_shows_names_as_they_were_typed_and_loads_nothing() -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(written(a_document(), "md"))
    found = Tags(html)
    assert not found.tags & {"script", "a"}
    assert all(each.startswith("data:image/") for each in found.addresses)
    assert len(found.addresses) == 2
    assert EVIL in "".join(found.text)
    assert {"table", "h1", "h2", "h3", "ul"} <= found.tags


@pytest.mark.parametrize("kind", ["html", "md"])
def test_the_same_report_is_the_same_file(kind: str) -> None:
    assert written(a_document(), kind) == written(a_document(), kind)  # type: ignore[arg-type]
    assert re.search(r"\n{4,}", written(a_document("plain"), kind)) is None  # type: ignore[arg-type]


def test_a_path_says_which_kind_of_file_is_wanted() -> None:
    assert kind_of(Path("a/report.HTML")) == "html"
    assert kind_of(Path("report.md")) == "md"
    with pytest.raises(InputError, match=r"'report.pdf' is not a report: name a file that ends in \.html or \.md"):
        kind_of(Path("report.pdf"))
