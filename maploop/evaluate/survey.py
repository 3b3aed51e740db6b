"""Which classes a file of features speaks of, and of what geometry type each is: for files without a project."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import shapely

from maploop.vectors import fields
from maploop.vectors.formats.table import stacked
from maploop.vectors.geometry import GeometryType
from maploop.vectors.load import load_tables

CLASS_FIELDS = ("class", "class_name", "label", "category", "category_name")  # as `vectors.fields` guesses them
_TYPES: tuple[GeometryType, ...] = ("point", "line", "polygon")  # by their number of dimensions
Found = Mapping[str, Counter[GeometryType]]


def survey(
    path: Path, class_field: str | None = None, *, images: Path | None = None, image_size: int | None = None
) -> tuple[Found, Counter[GeometryType]]:
    """Classes by the field that names them, how often each has which geometry type; and the same of all rows.

    Without a field that names them there are no classes. Raises VectorError when the file cannot be read, or has no
    such field.
    """
    table = stacked(load_tables(path, images=images, image_size=image_size))
    dimensions = shapely.get_dimensions(table.geometries)
    known = dimensions >= 0
    types = [_TYPES[each] for each in dimensions[known].tolist()]
    names = fields.names_of_fields(table.properties)
    told = class_field or table.class_field
    field = fields.find_field(names, told, what="class", path=path) if told and names else _likely(names)
    classes: dict[str, Counter[GeometryType]] = {}
    if field is not None:
        for row, geometry_type in zip(np.flatnonzero(known).tolist(), types, strict=True):
            name = fields.as_texts({"class": table.properties[row].get(field)}).get("class", "").strip()
            if name:
                classes.setdefault(name, Counter())[geometry_type] += 1
    return classes, Counter(types)


def classes_of(surveys: list[tuple[Found, Counter[GeometryType]]]) -> dict[str, GeometryType]:
    """One set of classes for several files: names spelled as first met, each of the type it has most often.

    Without any, a class for each geometry type there is, called after it.
    """
    spelled: dict[str, str] = {}
    counts: dict[str, Counter[GeometryType]] = {}
    for found, _ in surveys:
        here: dict[str, Counter[GeometryType]] = {}
        for name, types in found.items():
            here.setdefault(spelled.setdefault(name.casefold(), name), Counter()).update(types)
        counts = {**here, **counts}  # the first file's word for the type of a class is the last
    if counts:
        return {name: counts[name].most_common(1)[0][0] for name in spelled.values()}
    present = [each for each in reversed(_TYPES) if any(each in types for _, types in surveys)]
    return {each: each for each in present or ["polygon"]}


def _likely(names: list[str]) -> str | None:
    by_name = {name.casefold(): name for name in reversed(names)}
    return next((by_name[each] for each in CLASS_FIELDS if each in by_name), None)
