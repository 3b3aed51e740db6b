"""How invalid polygons are made valid, and several parts one feature."""

from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.vectors.geometry.crossings import is_tangled, tangled
from maploop.vectors.geometry.kinds import Geometries, as_geometries, geometry_types, parts_of_type, single_parts

CRUMB_SHARE = 0.01


def repair_polygons(polygons: Geometries) -> tuple[Geometries, NDArray[np.int64]]:
    """Make invalid polygons valid and keep what is still polygon -> parts, and for each the index it came from.

    Crumbs below 1 % of what a polygon's parts cover together are dropped: they are the knots of an outline that crosses
    itself, and nobody wants to review them. A polygon with nothing left has no part, nor has one that is `tangled`.
    """
    polygons = as_geometries(polygons).copy()
    polygons[tangled(polygons)] = None
    mended = shapely.make_valid(polygons, method="structure", keep_collapsed=False)
    parts, index = single_parts(as_geometries(mended))
    areas = shapely.area(parts)
    kept = (geometry_types(parts) == "polygon") & (areas > 0)
    whole = np.bincount(index[kept], weights=areas[kept], minlength=len(polygons))
    kept &= areas >= CRUMB_SHARE * whole[index]
    return parts[kept], index[kept]


def as_one(parts: Geometries) -> BaseGeometry | None:
    """Valid polygons, or lines, as one valid geometry, in their order; None when they cross each other too often.

    Polygons that overlap or share a side become one polygon, lines that go on from each other one line. Outer rings are
    counter-clockwise.
    """
    if len(parts) == 1:
        return cast("BaseGeometry", shapely.orient_polygons(parts[0]))
    if shapely.get_dimensions(parts)[0] == 1:
        lines = cast("BaseGeometry", shapely.multilinestrings(parts))
        return None if is_tangled(lines) else cast("BaseGeometry", shapely.line_merge(lines, directed=True))
    whole = cast("BaseGeometry", shapely.multipolygons(parts))
    if is_tangled(whole):
        return None
    if not whole.is_valid:
        flat = parts_of_type(shapely.union_all(parts), "polygon")
        whole = flat[0] if len(flat) == 1 else cast("BaseGeometry", shapely.multipolygons(flat))
    return shapely.orient_polygons(whole)
