"""Which fields hold class and score, what they say row by row, and all fields as bounded text."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from maploop.errors import VectorError
from maploop.vectors.geometry import GeometryType
from maploop.vectors.osm_tags import osm_tags

MAX_FIELDS = 64
NO_SCORE = -1  # how Microsoft's footprints and others write that there is none
MAX_FIELD_NAME = 100
MAX_TEXT = 1000
_CLASS_FIELDS = ("class", "class_name", "label", "category", "category_name")
_SCORE_FIELDS = ("score", "confidence", "probability", "conf", "prob")
_Rows = Sequence[Mapping[str, Any]]


def names_of_fields(properties: _Rows) -> list[str]:
    """The fields of all rows, in the order they first appear."""
    return list(dict.fromkeys(name for row in properties for name in row))


def find_field(names: Sequence[str], wanted: str, *, what: str, path: Path) -> str:
    """The field as the file spells it; case matters only when two differ by nothing else. Raises VectorError."""
    if wanted in names:
        return wanted
    for name in names:
        if name.casefold() == wanted.casefold():
            return name
    msg = f"{path} has no {what} field {wanted[:60]!r}: choose one of {_listed(names)}."
    raise VectorError(msg)


def _listed(names: Sequence[str]) -> str:
    shown = [name[:40] for name in names[:12]]
    return (", ".join(shown) + (", ..." if len(names) > 12 else "")) or "none, the rows have no fields"


def guess_class_field(properties: _Rows, names: Sequence[str], classes: Mapping[str, GeometryType]) -> str | None:
    """A field called class, label or category in which a class of the project turns up.

    A field called `name` counts when at least half of its values are classes: it holds the names of places as often.
    """
    known = {name.casefold() for name in classes}
    by_name = {name.casefold(): name for name in reversed(names)}
    for candidate, least in (*((field, 0.0) for field in _CLASS_FIELDS), ("name", 0.5)):
        field = by_name.get(candidate)
        values = [_class_text(row.get(field)) for row in properties if row.get(field) is not None] if field else []
        hits = sum(value in known for value in values)
        if hits and hits >= least * len(values):
            return field
    return None


def guess_score_field(names: Sequence[str]) -> str | None:
    """A field called score, confidence or probability."""
    by_name = {name.casefold(): name for name in reversed(names)}
    return next((by_name[candidate] for candidate in _SCORE_FIELDS if candidate in by_name), None)


def classes_of_rows(
    properties: _Rows, field: str, classes: Mapping[str, GeometryType]
) -> tuple[NDArray[np.object_], dict[int, str]]:
    """The class of each row by a field, as the project spells it, None where there is none, and why not."""
    spelled = {name.casefold(): name for name in classes}
    names = np.full(len(properties), None, dtype=object)
    reasons = {}
    for row, fields in enumerate(properties):
        value = fields.get(field)
        name = spelled.get(_class_text(value))
        if name is not None:
            names[row] = name
        elif value is None or value == "":
            reasons[row] = f"field {field[:40]!r} names no class"
        else:
            reasons[row] = f"class {_text(value)[:60]!r} is not one of {_listed(list(classes))}"
    return names, reasons


def classes_by_tags(
    properties: _Rows, classes: Mapping[str, GeometryType]
) -> tuple[NDArray[np.object_], dict[int, str]]:
    """The class of each row of OSM by its tags, None where no tag says one, and why not.

    A class is meant by a tag that is called like it (building=...), or by the tags that exports give it (osm_tags);
    a value of "no" says that it is none.
    """
    names = np.full(len(properties), None, dtype=object)
    reasons = {}
    asked = {name: osm_tags(name) for name in classes}
    for row, tags in enumerate(properties):
        for name, wanted in asked.items():
            if _is_tagged(tags, name.casefold(), wanted):
                names[row] = name
                break
        else:
            reasons[row] = f"none of its tags names a class: {_listed(list(classes))}"
    return names, reasons


def _is_tagged(tags: Mapping[str, Any], key: str, wanted: Mapping[str, str] | None) -> bool:
    if tags.get(key) not in (None, "", "no"):
        return True
    if not wanted:
        return False
    (first, value), *others = wanted.items()
    found = tags.get(first)
    fits = found not in (None, "", "no") if value in ("yes", "road") else found == value
    return fits and all(tags.get(name) == said for name, said in others)


def _class_text(value: object) -> str:
    return _text(value).strip().casefold()


def scores_of_rows(properties: _Rows, field: str) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Scores 0 to 1, nan where there is none or it was left out, and why it was."""
    scores = np.full(len(properties), np.nan)
    notes = {}
    for row, fields in enumerate(properties):
        value = fields.get(field)
        if value is None or value == "":
            continue
        score = _number(value)
        if score == NO_SCORE:
            continue
        if score is None:
            notes[row] = f"score {_text(value)[:40]!r} is not a number and was left out"
        elif 0 <= score <= 1:
            scores[row] = score
        elif not math.isnan(score):
            hint = ", it looks like a percentage" if 1 < score <= 100 else ""
            notes[row] = f"score {score:g} is not between 0 and 1{hint} and was left out"
    return scores, notes


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def as_texts(fields: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a row as text: at most 64, each at most 1,000 characters; empty ones and binary are left out."""
    texts: dict[str, str] = {}
    for name, value in fields.items():
        text = value if isinstance(value, str) else _text(value)
        if text:
            if len(texts) == MAX_FIELDS:
                break
            texts[_bounded(str(name), MAX_FIELD_NAME)] = _bounded(text, MAX_TEXT)
    return texts


def _bounded(text: str, longest: int) -> str:
    """Text that any database takes: no NUL, no half of a surrogate pair, not too long."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    text = text.replace("\x00", "")
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _text(value: object) -> str:
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.15g}"
    if isinstance(value, list | dict):
        try:
            return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode("utf-8")
        except TypeError:  # nested too deep
            return "…"
    return str(value)
