"""Settings of a project that may be set by name, `maploop project set PROJECT KEY=VALUE`: one table of keys.

To add one is to add a row to `KEYS`: how its text is read, and, where that takes more than storing it, how it is
applied. Keys with the same `apply` are applied together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from maploop.contract import dialect_named
from maploop.dataset.blocks import split_anew
from maploop.errors import InputError
from maploop.project import ProjectView, change_settings

Parse = Callable[[str], object]
Apply = Callable[..., ProjectView]  # (connection, project, **values): raises InputError, ConflictError


@dataclass(frozen=True)
class ProjectKey:
    """One setting: what it says in a few words, how its text is read (raises InputError), and how it is applied."""

    name: str
    help: str
    parse: Parse
    apply: Apply = change_settings

    def shown(self, project: ProjectView) -> object:
        """Its value now; `auto` where Maploop chooses."""
        value = getattr(project.settings, self.name)
        return "auto" if value is None else value


def _number(name: str, kind: type[int] | type[float]) -> Parse:
    def parse(text: str) -> object:
        try:
            return kind(text)
        except ValueError as error:
            what = "a whole number" if kind is int else "a number"
            msg = f"{text!r} is not a {name}: use {what}."
            raise InputError(msg) from error

    return parse


def _offset(text: str) -> object:
    return None if text.strip().lower() == "auto" else _number("block_zoom_offset", int)(text)


def _dialect(text: str) -> object:
    dialect_named(text)
    return text


KEYS: Mapping[str, ProjectKey] = {
    each.name: each
    for each in (
        ProjectKey("test_share", "share of the tiles for testing", _number("test_share", float), split_anew),
        ProjectKey(
            "validation_share", "share of the tiles for validation", _number("validation_share", float), split_anew
        ),
        ProjectKey("block_zoom_offset", "zooms from a tile up to its split block, or auto", _offset, split_anew),
        ProjectKey("instructions", "text that models are told beside the classes", str),
        ProjectKey("dialect", "how models write coordinates", _dialect),
        *(
            ProjectKey(name, told, _number(name, kind))
            for name, told, kind in (
                ("random_share", "share of tiles that the mixed order draws at random", float),
                ("claim_seconds", "how long a tile is held", int),
                ("iou_threshold", "from which IoU on polygons match", float),
                ("line_tolerance_m", "how far lines may lie apart, in metres", float),
                ("point_tolerance_m", "how far points may lie apart, in metres", float),
                ("promotion_margin", "by how much a candidate must be better", float),
                ("promotion_confidence", "with which confidence", float),
                ("promotion_class_loss", "how much a class may lose by it", float),
                ("promotion_blocks", "on how many split blocks at least", int),
                ("answered_share", "share of the tiles that a compared model must have answered", float),
                ("equivalence_margin", "within which two models are as good as each other", float),
                ("acceptable_errors", "rate of errors above which approval asks first", float),
            )
        ),
    )
}


def parse_settings(texts: Sequence[str]) -> dict[str, object]:
    """Read KEY=VALUE. Raises InputError naming the keys there are."""
    found: dict[str, object] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        key = KEYS.get(name.strip())
        if not separator or key is None:
            msg = f"{text!r} is not a setting: write KEY=VALUE, of {', '.join(KEYS)}."
            raise InputError(msg)
        found[key.name] = key.parse(value)
    return found


def set_project(connection: Connection, project: ProjectView, values: Mapping[str, object]) -> ProjectView:
    """Apply settings by key, all or none; needs a write transaction. Raises InputError, ConflictError."""
    together: dict[Apply, dict[str, Any]] = {}
    for name, value in values.items():
        if getattr(project.settings, name) != value:
            together.setdefault(KEYS[name].apply, {})[name] = value
    for apply, changes in together.items():
        project = apply(connection, project, **changes)
    return project


def shown_settings(project: ProjectView) -> dict[str, object]:
    """All keys with their values now."""
    return {name: key.shown(project) for name, key in KEYS.items()}
