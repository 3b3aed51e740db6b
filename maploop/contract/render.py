"""Annotations of a tile -> the answer a perfect model would give: one text for one truth."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from shapely.geometry.base import BaseGeometry

from maploop.contract.whole_units import rings_in_units
from maploop.errors import InputError
from maploop.imagery.tilemath import Tile, to_pixels
from maploop.vectors.geometry import clip_to_tile

if TYPE_CHECKING:
    from maploop.contract.prompt import Contract


def render_answer(annotations: Iterable[tuple[str, BaseGeometry]], tile: Tile, contract: "Contract") -> str:
    """The canonical answer for a tile as compact JSON: features in the order of the classes, then top to bottom, left
    to right.

    `annotations` are class names with valid polygons, lines or points in EPSG:4326; they are clipped to the tile here.
    Raises InputError for a class that the contract does not know.
    """
    dialect = contract.coordinates
    limit = contract.limit
    ranks = {name: rank for rank, name in enumerate(contract.geometry_types)}
    entries: list[tuple[Any, dict[str, Any]]] = []
    for class_name, geometry in annotations:
        if class_name not in ranks:
            msg = f"{class_name!r} is not a class of the prompt: use {', '.join(ranks)}."
            raise InputError(msg)
        for part in clip_to_tile(geometry, tile):
            for outline, *holes in rings_in_units(to_pixels(part, tile, limit), limit):
                feature = {
                    "class": class_name,
                    "geometry": contract.geometry_types[class_name],
                    "points": [dialect.write(*point) for point in outline],
                    "holes": [[dialect.write(*point) for point in hole] for hole in holes],
                }
                left, top = np.min(outline, axis=0).tolist()
                entries.append(((ranks[class_name], top, left, outline, holes), feature))
    entries.sort(key=lambda entry: entry[0])
    return orjson.dumps({"features": [feature for _, feature in entries]}).decode()
