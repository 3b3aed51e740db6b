"""GeoTIFF and COG: any CRS, any depth, drawn straight onto the tile's own pixel grid.

Each tile is warped from the source in one step, and the overview depends on the resolution alone, never on the tile:
that is why neighbouring tiles join without a seam.
"""

import hashlib
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rasterio._err import CPLE_BaseError  # the base of GDAL's own errors has no public name
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.transform import from_gcps
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform, transform_bounds

from maploop.errors import ImageryError
from maploop.imagery.bands import Bands, choose_bands, choose_stretch, needs_stretch, to_rgba
from maploop.imagery.info import Bounds, SourceInfo
from maploop.imagery.tilemath import EARTH_CIRCUMFERENCE, MAX_LATITUDE, MAX_ZOOM, Tile

WEB_MERCATOR = "EPSG:3857"
TILE_SIZE = 256
IDLE_HANDLES = 4  # files kept open for the next reader
WARP_ERROR_PIXELS = 0.01  # how far the fast transform may stray; GDAL's 0.125 would show at tile borders
WITH_ALPHA = {"uint8", "uint16"}
MAX_BARE_PIXELS = 4_000_000_000  # without overviews; to find the covered tiles all of them are read
ZOOMS_BELOW_OVERVIEWS = 4  # further out than this, a tile would read too much of the file


def describe_geotiff(path: Path) -> SourceInfo:
    """What a GeoTIFF holds, with its stretch. Raises ImageryError."""
    path = path.resolve()
    with _errors(path), _open(path) as dataset, _warped(dataset) as whole:
        bands = choose_bands(dataset)
        if dataset.width * dataset.height > MAX_BARE_PIXELS and not dataset.overviews(1):
            msg = (
                f"{path.name!r} has {dataset.width} x {dataset.height} pixels and no overviews, too slow to draw: "
                "convert it with gdal_translate -of COG."
            )
            raise ImageryError(msg)
        native = math.log2(EARTH_CIRCUMFERENCE / TILE_SIZE / _resolution(dataset, whole))
        max_zoom = min(max(round(native), 0), MAX_ZOOM)
        coarsest = max([1, *dataset.overviews(1)])
        tags = dataset.tags()
        return SourceInfo(
            kind="geotiff",
            location=str(path),
            bounds=_geographic(whole.bounds),
            min_zoom=max(0, max_zoom - math.ceil(math.log2(coarsest)) - ZOOMS_BELOW_OVERVIEWS),
            max_zoom=max_zoom,
            tile_size=TILE_SIZE,
            attribution=tags.get("TIFFTAG_COPYRIGHT", "").strip(),
            stretch=choose_stretch(dataset, bands),
            crs=_crs_of(dataset).to_string(),
        )


class GeoTiffSource:
    """Tiles of one GeoTIFF. Datasets of GDAL belong to one thread at a time, so readers borrow a handle each."""

    def __init__(self, info: SourceInfo) -> None:
        self.info = info
        self._path = Path(info.location)
        self._idle: list[_Handle] = []
        self._lock = threading.Lock()
        with self._borrow() as handle:
            self._bands = choose_bands(handle.dataset)
            with _warped(handle.dataset) as whole:
                self._resolution = _resolution(handle.dataset, whole)
            expected = len(self._bands.indexes) if needs_stretch(handle.dataset, self._bands) else 0
            status = self._path.stat()
        if len(info.stretch or ()) != expected:
            msg = f"{self._path.name!r} has other bands than when it was imported: import it again."
            raise ImageryError(msg)
        identity = f"{info!r} {status.st_size} {status.st_mtime_ns}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()[:16]

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        """Pixels of a tile, (size, size, 4) RGBA, alpha 0 where there is no data. Raises ImageryError."""
        bands: Bands = self._bands
        left, bottom, right, top = tile.mercator_bounds
        decimation = (right - left) / size / self._resolution
        with self._borrow() as handle:
            dataset = handle.at_decimation(decimation)
            scale = min(1.0, handle.dataset.width / dataset.width / decimation)
            # GDAL would work out XSCALE, the width of its filter, from each tile's own corners: a seam.
            grid = {
                "transform": Affine((right - left) / size, 0.0, left, 0.0, (bottom - top) / size, top),
                "width": size,
                "height": size,
                "XSCALE": repr(scale),
                "YSCALE": repr(scale),
            }
            resampling = Resampling.nearest if bands.palette is not None else Resampling.bilinear
            with _warped(dataset, resampling=resampling, **grid) as warped:
                values = warped.read(bands.indexes)
                valid = warped.dataset_mask()
        return to_rgba(values, valid, bands.palette, self.info.stretch)

    @contextmanager
    def _borrow(self) -> Iterator["_Handle"]:
        with self._lock:
            handle = self._idle.pop() if self._idle else None
        with _errors(self._path):
            handle = handle or _Handle(self._path)
            try:
                yield handle
            except BaseException:
                handle.close()
                raise
        with self._lock:
            keep = len(self._idle) < IDLE_HANDLES
            if keep:
                self._idle.append(handle)
        if not keep:
            handle.close()


class _Handle:
    """One open file and, opened when first wanted, its overviews; used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.dataset = _open(path)
        self._factors: list[int] = self.dataset.overviews(1)
        self._overviews: dict[int, Any] = {}

    def at_decimation(self, decimation: float) -> Any:
        """The smallest version that still has a pixel for each pixel drawn, `decimation` source pixels apart."""
        fitting = [level for level, factor in enumerate(self._factors) if factor <= decimation * 1.01]
        if not fitting:
            return self.dataset
        level = max(fitting, key=lambda level: self._factors[level])
        if level not in self._overviews:
            self._overviews[level] = _open(self._path, overview_level=level)
        return self._overviews[level]

    def close(self) -> None:
        for dataset in (self.dataset, *self._overviews.values()):
            dataset.close()


def _open(path: Path, **options: Any) -> Any:
    if not path.is_file():
        msg = f"{str(path)!r} is not there any more: put it back or import it again from where it is."
        raise ImageryError(msg)
    # Only GeoTIFF: other GDAL formats may name further files and addresses, which GDAL would follow.
    return rasterio.open(path, driver="GTiff", sharing=False, **options)


def _warped(dataset: Any, **options: Any) -> Any:
    """The dataset in web mercator, with a mask of what is valid."""
    if ColorInterp.alpha in dataset.colorinterp and set(dataset.dtypes) <= WITH_ALPHA:
        validity: dict[str, Any] = {}
    elif set(dataset.dtypes) <= WITH_ALPHA:
        validity = {"add_alpha": True, "src_nodata": dataset.nodata, "nodata": dataset.nodata}
    else:  # GDAL has alpha in 8 and 16 bit only: everything else goes by NaN
        nodata = math.nan if dataset.nodata is None else dataset.nodata
        validity = {"dtype": "float32", "src_nodata": nodata, "nodata": math.nan}
    return WarpedVRT(
        dataset, src_crs=_crs_of(dataset), crs=WEB_MERCATOR, tolerance=WARP_ERROR_PIXELS, **validity, **options
    )


def _crs_of(dataset: Any) -> Any:
    points, points_crs = dataset.gcps
    crs = points_crs if points and points_crs else dataset.crs
    if not crs:
        msg = f"{dataset.name!r} has no CRS: write it in, for example gdal_edit.py -a_srs EPSG:32636 FILE."
        raise ImageryError(msg)
    if dataset.transform.is_identity and not points:
        msg = (
            f"{dataset.name!r} does not say where it lies (no geotransform, no control points): georeference it first."
        )
        raise ImageryError(msg)
    return crs


def _resolution(dataset: Any, whole: Any) -> float:
    """EPSG:3857 metres a pixel in the middle of the image; `whole` knows where the middle is a pole.

    The resolution that GDAL would choose is an average, far off for imagery of the world or across the antimeridian.
    """
    points, _ = dataset.gcps
    affine = from_gcps(points) if points else dataset.transform
    column, row = dataset.width / 2, dataset.height / 2
    corners = [affine @ (column + dx, row + dy) for dx, dy in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))]
    xs, ys = transform(_crs_of(dataset), WEB_MERCATOR, *zip(*corners, strict=True))
    area = abs((xs[1] - xs[0]) * (ys[2] - ys[0]) - (xs[2] - xs[0]) * (ys[1] - ys[0]))
    return math.sqrt(area) if math.isfinite(area) and area > 0 else float(min(whole.res))


def _geographic(mercator: Bounds) -> Bounds:
    west, south, east, north = transform_bounds(WEB_MERCATOR, "EPSG:4326", *mercator)
    south, north = max(south, -MAX_LATITUDE), min(north, MAX_LATITUDE)
    return (west, south, east, north) if west < east else (-180.0, south, 180.0, north)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (RasterioError, CPLE_BaseError, OSError, ValueError) as error:
        reason = " ".join(str(error).replace(str(path), path.name).split()) or type(error).__name__
        msg = f"{path.name!r} cannot be read as a GeoTIFF ({reason[:200]}): check the file with gdalinfo."
        raise ImageryError(msg) from error
