"""Things that a network saw in overlapping windows, made one again where they are one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray
from shapely import Polygon, STRtree
from shapely.affinity import affine_transform
from shapely.geometry.base import BaseGeometry

from maploop.predict.hub.windows import Window

SAME: Final = 0.5  # IoU from which two outlines are of one thing; of two windows, where both look
_AT_EDGE: Final = 1.5  # pixels: what ends closer to the edge of its window may go on beyond


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: its class, score, and area as a polygon; `whole` where it does not go on beyond what was looked at."""

    class_name: str
    score: float
    area: Polygon
    whole: bool = True


def area_of(mask: NDArray[np.bool_]) -> Polygon | None:
    """The largest part of a mask (h, w) as a polygon in its pixels, without holes; None where the mask is empty."""
    parts = [
        Polygon(shape["coordinates"][0]) for shape, _ in rasterio.features.shapes(mask.astype(np.uint8), mask=mask)
    ]
    return max(parts, key=lambda part: part.area, default=None)


def in_picture(things: Sequence[Thing], window: Window, scale: float, width: int, height: int) -> list[Thing]:
    """Things in pixels of a window as it was shown -> in those of the picture, `scale` of them to one shown."""
    square = shapely.box(window.left, window.top, window.left + window.side, window.top + window.side)
    frame = shapely.box(0, 0, width, height)
    left, top, right, bottom = square.bounds
    found = []
    for thing in things:
        shown = affine_transform(thing.area, (scale, 0, 0, scale, window.left, window.top))
        area = _largest(shown.intersection(square & frame))
        if area is None:
            continue
        x0, y0, x1, y1 = area.bounds
        cut = (
            (x0 < left + _AT_EDGE and left > 0)
            or (y0 < top + _AT_EDGE and top > 0)
            or (x1 > right - _AT_EDGE and right < width)
            or (y1 > bottom - _AT_EDGE and bottom < height)
        )
        found.append(replace(thing, area=area, whole=not cut))
    return found


def distinct(things: Sequence[Thing]) -> list[Thing]:
    """Of those of one class that are the same by IoU the one with the best score, best first."""
    kept: list[Thing] = []
    for thing in sorted(things, key=lambda each: -each.score):
        if not any(other.class_name == thing.class_name and _alike(thing.area, other.area) for other in kept):
            kept.append(thing)
    return kept


def joined(seen: Sequence[tuple[Window, Sequence[Thing]]], *, boxes: bool = False) -> list[Thing]:
    """Things of many windows (in pixels of the picture), each once and as whole as the windows together show it.

    Two windows speak of the same thing where they agree on the ground that both of them see. Pieces of it are put
    together, to one box for `boxes`.
    """
    things = [thing for _, some in seen for thing in some]
    if not things:
        return []
    squares = [
        shapely.box(window.left, window.top, window.left + window.side, window.top + window.side)
        for window, some in seen
        for _ in some
    ]
    numbers = np.repeat(np.arange(len(seen)), [len(some) for _, some in seen])
    areas = np.array([thing.area for thing in things], dtype=object)
    group = list(range(len(things)))

    def leader(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    for one, other in STRtree(areas).query(areas, predicate="intersects").T.tolist():
        if one >= other or numbers[one] == numbers[other] or things[one].class_name != things[other].class_name:
            continue
        both = squares[one] & squares[other]
        if iou(areas[one] & both, areas[other] & both) >= SAME:
            group[leader(one)] = leader(other)
    members: dict[int, list[Thing]] = {}
    for index, thing in enumerate(things):
        members.setdefault(leader(index), []).append(thing)
    return [_one(each, boxes=boxes) for each in members.values()]


def _one(pieces: Sequence[Thing], *, boxes: bool) -> Thing:
    best = max(pieces, key=lambda each: (each.whole, each.score))
    if best.whole:
        return replace(best, score=max(each.score for each in pieces))
    together = shapely.union_all([each.area for each in pieces])
    area = _largest(together.envelope if boxes else together) or best.area
    return replace(best, area=Polygon(area.exterior), score=max(each.score for each in pieces))


def _largest(area: BaseGeometry) -> Polygon | None:
    parts = [part for part in shapely.get_parts(area) if isinstance(part, Polygon) and not part.is_empty]
    return max(parts, key=lambda part: part.area, default=None)


def _alike(one: Polygon, other: Polygon) -> bool:
    """Whether the IoU reaches `SAME`; bounds tell most that are not, and outlines traced from pixels are long."""
    (left, top, right, bottom), (x0, y0, x1, y1) = one.bounds, other.bounds
    frame = max(0.0, min(right, x1) - max(left, x0)) * max(0.0, min(bottom, y1) - max(top, y0))
    most = min(frame, one.area, other.area)
    return most >= SAME * (one.area + other.area - most) and iou(one, other) >= SAME


def iou(one: BaseGeometry, other: BaseGeometry) -> float:
    """Shared area over that of both together."""
    shared = one.intersection(other).area
    union = one.area + other.area - shared
    return float(shared / union) if union > 0 else 0.0
