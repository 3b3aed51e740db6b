"""Where the pixels of a GeoTIFF lie: CRS, ground control points, resolution, and rasters across 180 degrees."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import from_gcps
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform, transform_bounds

from maploop.errors import ImageryError
from maploop.imagery.info import Bounds
from maploop.imagery.tilemath import EARTH_CIRCUMFERENCE, MAX_LATITUDE

T = TypeVar("T", float, NDArray[np.float64])

WEB_MERCATOR: Final = "EPSG:3857"
AFFINE_ERROR_PIXELS: Final = 0.5  # control points this close to a plane need no bending
EDGE_POINTS: Final = 21  # along each edge of an image, to find its extent


@dataclass(frozen=True)
class Placement:
    """The place of a raster.

    crs         of `affine` and of the control points
    affine      pixel (column, row) -> coordinates; of control points the plane that fits them best
    is_bent     control points that no plane fits: the raster has to be warped by them
    is_moved    it is looked at a turn around the world away from where the file puts it
    period      coordinates after which the world begins anew, 0 where the CRS does not go round it
    """

    crs: CRS
    affine: Affine
    is_bent: bool = False
    is_moved: bool = False
    period: float = 0.0


def parse_crs(text: str) -> CRS:
    """Read a CRS that somebody names, such as `EPSG:32636`. Raises ImageryError."""
    try:
        return CRS.from_user_input(text.strip())
    except CRSError as error:
        msg = f"{text!r} is not a coordinate reference system: write for example EPSG:32636."
        raise ImageryError(msg) from error


def placement_of(dataset: Any, assigned: str | None = None) -> Placement:
    """Find out where a dataset lies; `assigned` is a CRS that overrides the file's. Raises ImageryError."""
    points, points_crs = dataset.gcps
    name = dataset.name.rpartition("/")[2]
    crs = parse_crs(assigned) if assigned else (points_crs if points and points_crs else dataset.crs)
    if dataset.transform.is_identity and not points:
        if dataset.rpcs is not None:
            msg = (
                f"{name!r} is placed by rational polynomials (RPCs) alone: orthorectify it first, with terrain if you "
                f"have it, for example gdalwarp -rpc -to RPC_DEM=dem.tif -t_srs EPSG:32636 {name} ortho.tif."
            )
            raise ImageryError(msg)
        msg = f"{name!r} does not say where it lies (no geotransform, no control points): georeference it first."
        raise ImageryError(msg)
    if not crs:
        msg = (
            f"{name!r} has no CRS: say which one it is with --crs, for example --crs EPSG:32636, or write it into the "
            f"file, for example gdal_edit.py -a_srs EPSG:32636 {name}."
        )
        raise ImageryError(msg)
    affine, is_bent = (_plane(points, name)) if points else (dataset.transform, False)
    return Placement(crs, affine, is_bent, period=_period(crs))


def _plane(points: list[Any], name: str) -> tuple[Affine, bool]:
    """The affine transform that fits control points best, and whether it misses one by more than it may."""
    try:
        affine = from_gcps(points)
        back = ~affine
    except Exception as error:  # GDAL and affine have errors of their own for points in one line
        msg = f"{name!r} has {len(points)} ground control points that fix no place: georeference it anew."
        raise ImageryError(msg) from error
    misses = [math.dist(back @ (point.x, point.y), (point.col, point.row)) for point in points]
    return affine, max(misses) > AFFINE_ERROR_PIXELS


def _period(crs: CRS) -> float:
    if crs.is_geographic:
        radians = float(crs.units_factor[1])
        return 2.0 * math.pi / radians
    return EARTH_CIRCUMFERENCE if crs.to_epsg() == 3857 else 0.0


@contextmanager
def warped(dataset: Any, placement: Placement, validity: dict[str, Any], **options: Any) -> Iterator[Any]:
    """Yield a dataset warped to web mercator from where it lies; `validity` says what is empty, as `WarpedVRT` has it.

    A warp onto a given grid does not look at control points, so bent ones are followed beforehand.
    """
    points, _ = dataset.gcps
    place: dict[str, Any] = {"src_crs": placement.crs}
    if placement.is_bent:
        again = {**validity, "src_nodata": validity.get("nodata")} if "dtype" in validity else {}
        with (
            WarpedVRT(dataset, crs=WEB_MERCATOR, **place, **validity) as straight,
            WarpedVRT(straight, crs=WEB_MERCATOR, **again, **options) as result,
        ):
            yield result
        return
    if points or placement.is_moved:
        place["src_transform"] = placement.affine
    with WarpedVRT(dataset, crs=WEB_MERCATOR, **place, **validity, **options) as result:
        yield result


def resolution_of(dataset: Any, placement: Placement, otherwise: float) -> float:
    """Return EPSG:3857 metres a pixel in the middle of the image, `otherwise` where that is a pole.

    The resolution that GDAL would choose is an average, far off for imagery of the world or across 180 degrees.
    """
    column, row = dataset.width / 2, dataset.height / 2
    corners = [placement.affine @ (column + dx, row + dy) for dx, dy in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))]
    xs, ys = transform(placement.crs, WEB_MERCATOR, *zip(*corners, strict=True))
    (ax, ay), (bx, by) = (((_wrapped(xs[i] - xs[0], EARTH_CIRCUMFERENCE)), ys[i] - ys[0]) for i in (1, 2))
    area = abs(ax * by - bx * ay)
    return float(math.sqrt(area)) if math.isfinite(area) and area > 0 else otherwise


def areas_of(dataset: Any, placement: Placement, whole: Bounds) -> list[Bounds]:
    """Return the extent of an image in degrees: west, south, east, north; two boxes where it lies across 180 degrees.

    `whole`: the extent in EPSG:3857 as GDAL has it, used where an edge has no place on the map (poles).
    """
    west, south, east, north = transform_bounds(WEB_MERCATOR, "EPSG:4326", *whole)
    south, north = max(south, -MAX_LATITUDE), min(north, MAX_LATITUDE)
    plain = [(west, south, east, north) if west < east else (-180.0, south, 180.0, north)]
    longitudes, latitudes = _edge(dataset, placement)
    if not (np.isfinite(longitudes).all() and np.isfinite(latitudes).all()):
        return plain
    if not placement.period:  # the transform wraps them
        longitudes = longitudes[-1] + _wrapped(longitudes - longitudes[-1], 360.0)
    low, high = float(longitudes.min()), float(longitudes.max())
    turn = 360.0 * math.floor((low + 180.0) / 360.0)
    low, high = low - turn, high - turn
    if high <= 180.0 or high - low >= (359.0 if placement.period else 180.0):
        return plain
    south, north = max(float(latitudes.min()), -MAX_LATITUDE), min(float(latitudes.max()), MAX_LATITUDE)
    return [(low, south, 180.0, north), (-180.0, south, high - 360.0, north)]


def _edge(dataset: Any, placement: Placement) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes along the edges of an image, its middle last; as the CRS gives them."""
    shares = np.linspace(0.0, 1.0, EDGE_POINTS)
    zero, one = np.zeros(EDGE_POINTS), np.ones(EDGE_POINTS)
    columns = np.concatenate([shares, shares, zero, one, [0.5]]) * dataset.width
    rows = np.concatenate([zero, one, shares, shares, [0.5]]) * dataset.height
    xs, ys = placement.affine @ (columns, rows)
    longitudes, latitudes = transform(placement.crs, "EPSG:4326", xs, ys)
    if placement.period:  # they may go on beyond 180 degrees, where the transform would wrap them
        longitudes = np.asarray(xs) * (360.0 / placement.period)
    return np.asarray(longitudes, dtype=np.float64), np.asarray(latitudes, dtype=np.float64)


def turns_of(dataset: Any, placement: Placement) -> list[float]:
    """Return the shifts, in units of the CRS, to look at a raster with: it may go on beyond 180 degrees."""
    if not placement.period:
        return [0.0]
    corners = [(0, 0), (dataset.width, 0), (0, dataset.height), (dataset.width, dataset.height)]
    xs = [(placement.affine @ corner)[0] for corner in corners]
    half = placement.period / 2
    tolerance = placement.period * 1e-9
    turns = range(
        math.floor((min(xs) + half + tolerance) / placement.period),
        math.ceil((max(xs) + half - tolerance) / placement.period),
    )
    return [-turn * placement.period for turn in turns] or [0.0]


def shifted(placement: Placement, turn: float) -> Placement:
    """Return a placement moved along its x axis, by a turn around the world."""
    return (
        replace(placement, affine=Affine.translation(turn, 0.0) @ placement.affine, is_moved=True)
        if turn
        else placement
    )


def _wrapped(values: T, period: float) -> T:
    """Differences on a circle: from minus to plus half a period."""
    return (values + period / 2) % period - period / 2
