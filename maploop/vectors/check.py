"""Checks and repairs features in bulk: rows of any geometry -> valid features, and what was changed or left out.

A row is taken apart, its parts are checked one by one, and those that are of one class are joined again.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.vectors.features import ReadReport
from maploop.vectors.geometry import (
    MAX_CROSSINGS,
    Geometries,
    geometry_types,
    on_earth,
    repair_polygons,
    tangled,
)
from maploop.vectors.geometry.kinds import single_parts
from maploop.vectors.geometry.repair import as_one

MAX_VERTICES = 10_000
HOPELESS_VERTICES = 1_000_000
SMALLEST_AREA = 1e-15  # square degrees: about a tenth of a square centimetre
SMALLEST_LENGTH = 1e-9  # degrees: about a tenth of a millimetre
_SIMPLIFICATIONS = (1e-7, 1e-6, 1e-5)  # degrees: about a centimetre, a decimetre, a metre


class Notes:
    """What happened to rows, gathered part by part and summed up as a report.

    A row none of whose parts went in is skipped; a row that lost some of its parts is repaired. `lacking` are the rows
    left out although they may be features of the project's classes.
    """

    def __init__(self) -> None:
        self.lacking: set[int] = set()
        self._reasons: dict[int, list[str]] = {}
        self._hows: dict[int, list[str]] = {}

    def leave_out(self, row: int, reason: str, *, lacking: bool = True) -> None:
        """One part of the row, or all of it, does not go in; not `lacking`: it is of a class the project has not."""
        if lacking:
            self.lacking.add(row)
        self._reasons.setdefault(row, []).append(reason)

    def repair(self, row: int, how: str) -> None:
        """The row goes in, changed; the same change of several parts is told once."""
        hows = self._hows.setdefault(row, [])
        if how not in hows:
            hows.append(how)

    def report(self, read: int, rows_in: NDArray[np.int64]) -> ReadReport:
        """The report over `read` rows of which `rows_in` went in."""
        kept = set(rows_in.tolist())
        report = ReadReport(read)
        for row in sorted(self._reasons.keys() | self._hows.keys()):
            reasons, hows = self._reasons.get(row, []), self._hows.get(row, [])
            if row not in kept:
                report.skipped.append({"row": row, "reason": reasons[0]})
                continue
            if reasons:
                parts = "1 part" if len(reasons) == 1 else f"{len(reasons)} parts"
                hows = [*hows, f"left out {parts}: {reasons[0]}"]
            report.repaired.append({"row": row, "how": "; ".join(hows)})
        return report


@dataclass
class Parts:
    """Single geometries in parallel columns: the row each is from, its type, and its class once it is known."""

    rows: NDArray[np.int64]
    geometries: Geometries
    types: NDArray[np.object_]
    class_names: NDArray[np.object_]

    def kept(self, where: NDArray[np.bool_] | NDArray[np.int64]) -> "Parts":
        """Those parts only, in the order given."""
        return Parts(self.rows[where], self.geometries[where], self.types[where], self.class_names[where])

    def replaced(self, where: NDArray[np.int64], parts: Geometries, index: NDArray[np.int64]) -> "Parts":
        """The parts at `where` exchanged for others, `index` telling which of `where` each stands for; order kept."""
        others = np.ones(len(self.rows), dtype=np.bool_)
        others[where] = False
        place = np.concatenate([np.flatnonzero(others), where[index]])
        order = np.argsort(place, kind="stable")
        place = place[order]
        geometries = np.concatenate([self.geometries[others], parts])[order]
        return Parts(self.rows[place], geometries, self.types[place], self.class_names[place])


def take_apart(geometries: Geometries, notes: Notes) -> Parts:
    """Rows of EPSG:4326 geometries -> their single 2D parts that have finite coordinates on the map."""
    geometries = np.asarray(shapely.force_2d(geometries), dtype=object)
    parts, rows = single_parts(geometries)
    for row in np.setdiff1d(np.arange(len(geometries)), rows).tolist():
        notes.leave_out(row, "no geometry" if geometries[row] is None else "its geometry is empty")
    rings = shapely.get_type_id(parts) == shapely.GeometryType.LINEARRING
    if rings.any():
        coordinates, owner = shapely.get_coordinates(parts[rings], return_index=True)
        parts[rings] = shapely.linestrings(coordinates, indices=owner)
    table = Parts(rows, parts, geometry_types(parts), np.full(len(parts), None, dtype=object))

    coordinates, owner = shapely.get_coordinates(parts, return_index=True)
    finite = np.ones(len(parts), dtype=np.bool_)
    finite[owner[~np.isfinite(coordinates).all(axis=1)]] = False
    inside = on_earth(parts)
    leave_out(table, ~finite, "its coordinates are not finite numbers", notes)
    leave_out(table, finite & ~inside, "its coordinates lie beyond +-180 or +-85.06 degrees", notes)
    return table.kept(finite & inside)


def leave_out(parts: Parts, where: NDArray[np.bool_], reason: str, notes: Notes, *, lacking: bool = True) -> None:
    """Note one reason for several parts; see `Notes.leave_out`."""
    for row in parts.rows[where].tolist():
        notes.leave_out(row, reason, lacking=lacking)


def mend(parts: Parts, notes: Notes) -> Parts:
    """Make parts valid, of a bearable number of vertices, with an extent and outer rings counter-clockwise."""
    knots = tangled(parts.geometries)
    leave_out(parts, knots, f"it crosses itself more than {MAX_CROSSINGS:,} times", notes)
    parts = _simplified(parts.kept(~knots), notes)
    parts = _repaired(parts, notes)
    flat = (parts.types == "polygon") & (shapely.area(parts.geometries) < SMALLEST_AREA)
    short = (parts.types == "line") & (shapely.length(parts.geometries) < SMALLEST_LENGTH)
    leave_out(parts, flat, "its polygon encloses no area", notes)
    leave_out(parts, short, "its line has no length", notes)
    parts = parts.kept(~flat & ~short)
    parts.geometries = np.asarray(shapely.orient_polygons(parts.geometries), dtype=object)
    return parts


def join(parts: Parts, notes: Notes, apart: Collection[int] = ()) -> Parts:
    """Several polygons or lines of one row and class -> one feature; several points stay features of their own.

    Parts that overlap or share a side become one. Of rows that are cut `apart` at 180 degrees, what lies east of it and
    what lies west of it are features of their own: together they would reach around the world. Order kept.
    """
    several = (parts.rows[1:] == parts.rows[:-1]) & (parts.types[1:] != "point")
    if not several.any():
        return parts
    groups: dict[tuple[int, str, bool], list[int]] = {}
    cut = np.isin(parts.rows, list(apart)) & (shapely.get_x(shapely.point_on_surface(parts.geometries)) > 0)
    repeated = np.isin(parts.rows, parts.rows[1:][several]) & (parts.types != "point")
    for place in np.flatnonzero(repeated).tolist():
        key = int(parts.rows[place]), str(parts.class_names[place]), bool(cut[place])
        groups.setdefault(key, []).append(place)
    kept = np.ones(len(parts.rows), dtype=np.bool_)
    for (row, *_), places in groups.items():
        joined = _joined(parts.geometries[places], row, notes) if len(places) > 1 else parts.geometries[places[0]]
        kept[places[1:]] = False
        kept[places[0]] = joined is not None
        parts.geometries[places[0]] = joined
    return parts.kept(kept)


def _joined(parts: Geometries, row: int, notes: Notes) -> BaseGeometry | None:
    """Valid parts of one type as one valid geometry; None when they are too many or lie across each other."""
    count = int(shapely.get_num_coordinates(parts).sum())
    if count > MAX_VERTICES:
        reason = f"its {len(parts):,} parts have {count:,} vertices, more than {MAX_VERTICES:,}: make each part a row"
        notes.leave_out(row, reason)
        return None
    whole = as_one(parts)
    if whole is None:
        notes.leave_out(row, f"its {len(parts):,} parts cross more than {MAX_CROSSINGS:,} times")
    elif shapely.get_num_geometries(whole) < len(parts):
        notes.repair(row, "parts that overlap made one")
    return whole


def _simplified(parts: Parts, notes: Notes) -> Parts:
    before = shapely.get_num_coordinates(parts.geometries)
    kept = np.ones(len(parts.rows), dtype=np.bool_)
    for place in np.flatnonzero(before > MAX_VERTICES).tolist():
        row, count = int(parts.rows[place]), int(before[place])
        geometry, after = parts.geometries[place], count
        for tolerance in _SIMPLIFICATIONS if count <= HOPELESS_VERTICES else ():
            geometry = shapely.simplify(parts.geometries[place], tolerance)
            after = int(shapely.get_num_coordinates(geometry))
            if after <= MAX_VERTICES:
                break
        if after <= MAX_VERTICES:
            parts.geometries[place] = geometry
            notes.repair(row, f"simplified from {count:,} to {after:,} vertices")
        else:
            kept[place] = False
            notes.leave_out(row, f"it has {count:,} vertices, more than {MAX_VERTICES:,}")
    return parts.kept(kept)


def _repaired(parts: Parts, notes: Notes) -> Parts:
    """Invalid polygons exchanged for the valid polygons inside them."""
    invalid = np.flatnonzero((parts.types == "polygon") & ~shapely.is_valid(parts.geometries))
    if not len(invalid):
        return parts
    broken = parts.geometries[invalid]
    whole, index = repair_polygons(broken)
    counts = np.bincount(index, minlength=len(invalid))
    reasons = shapely.is_valid_reason(broken).tolist()
    for row, reason, count in zip(parts.rows[invalid].tolist(), reasons, counts.tolist(), strict=True):
        why = str(reason).split("[")[0].lower()
        if count:
            notes.repair(row, f"{why} repaired" if count == 1 else f"{why} repaired, {count} parts")
        else:
            notes.leave_out(row, f"its polygon encloses no area ({why})")
    return parts.replaced(invalid, whole, index)
