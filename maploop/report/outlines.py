"""How a feature that was found, made up or missed is drawn: told apart by colour and by line, on any imagery."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from shapely.geometry.base import BaseGeometry

Standing = Literal["true", "false", "missed"]


@dataclass(frozen=True)
class Stroke:
    """Colour, width in pixels and the length of a dash, 0 for none."""

    colour: str
    width: float
    dash: float


# Okabe and Ito's palette.
STROKES: Mapping[Standing, Stroke] = {
    "true": Stroke("#56B4E9", 2, 0),
    "false": Stroke("#D55E00", 2.5, 7),
    "missed": Stroke("#F0E442", 2.5, 3),
}
MEANS: Mapping[Standing, str] = {
    "true": "found",
    "false": "false: nothing is there",
    "missed": "missed",
}


@dataclass(frozen=True)
class Outline:
    """A feature on a tile (EPSG:4326) and how it stands with the truth."""

    geometry: BaseGeometry
    standing: Standing
    class_name: str


def counted(outlines: Iterable[Outline]) -> dict[Standing, int]:
    """How many there are of each standing."""
    counts: dict[Standing, int] = dict.fromkeys(STROKES, 0)
    for each in outlines:
        counts[each.standing] += 1
    return counts
