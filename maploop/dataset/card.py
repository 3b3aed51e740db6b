"""The dataset's card: what a person wants to know before using it, in Markdown."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import jinja2
import orjson

from maploop.dataset.datasets import DatasetView
from maploop.dataset.snapshot import Snapshot
from maploop.quality.statistics import Metric

NAMED_TILES = 50  # a reason; the manifest names all
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-!|&~$:@])")


def card_of(
    dataset: DatasetView, snapshot: Snapshot, left_out: Mapping[str, Sequence[str]] | None = None, unseen: int = 0
) -> str:
    """The card as Markdown; names and texts of people are escaped, so they show as they were typed.

    `left_out` names the tiles that an export left out, by reason; `unseen` counts annotations on ground without pixels.
    """
    return _template().render(
        manifest=dataset.manifest,
        classes=snapshot.classes,
        left_out=left_out or {},
        most=NAMED_TILES,
        unseen=unseen,
        created_by=dataset.created_by,
        created_at=f"{dataset.created_at:%Y-%m-%d}",
    )


def _markdown(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("maploop.dataset", "."),
        autoescape=False,  # noqa: S701  Markdown, escaped by the filters
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = _markdown
    environment.filters["json"] = lambda text: orjson.dumps(text).decode()
    environment.filters["rate"] = lambda figures: Metric(**figures).text()
    environment.filters["n"] = lambda number: f"{number:,}"
    return environment.get_template("card.md")
