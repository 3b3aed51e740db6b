"""How invalid polygons are made valid."""

import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.vectors.geometry.crossings import tangled
from maploop.vectors.geometry.kinds import Geometries, as_geometries, geometry_types, single_parts

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
