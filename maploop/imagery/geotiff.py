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
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError

from maploop.errors import ImageryError
from maploop.imagery.bands import (
    Bands,
    are_bands_guessed,
    black_share,
    choose_bands,
    choose_stretch,
    found_nodata,
    named_text,
    needs_stretch,
    to_rgba,
)
from maploop.imagery.info import SourceInfo
from maploop.imagery.placement import (
    Placement,
    areas_of,
    placement_of,
    resolution_of,
    shifted,
    turns_of,
    warped,
)
from maploop.imagery.raster_options import RasterOptions
from maploop.imagery.tilemath import EARTH_CIRCUMFERENCE, MAX_ZOOM, Tile

TILE_SIZE = 256
IDLE_HANDLES = 4  # files kept open for the next reader
WARP_ERROR_PIXELS = 0.01  # how far the fast transform may stray; GDAL's 0.125 would show at tile borders
WITH_ALPHA = {"uint8", "uint16"}
MAX_BARE_PIXELS = 4_000_000_000  # without overviews; to find the covered tiles all of them are read
MUCH_BLACK = 0.01  # share of pixels; photographs have next to none
ZOOMS_BELOW_OVERVIEWS = 4  # further out than this, a tile would read too much of the file


def describe_geotiff(path: Path, options: RasterOptions | None = None) -> SourceInfo:
    """Describe a GeoTIFF: place, zooms, stretch, and the options it is to be read with. Raises ImageryError."""
    path = path.resolve()
    wanted = options or RasterOptions()
    with _errors(path), _open(path) as dataset:
        bands = choose_bands(dataset, wanted.bands)
        nodata = found_nodata(dataset, bands, wanted.nodata)
        placement = placement_of(dataset, wanted.crs)
        if dataset.width * dataset.height > MAX_BARE_PIXELS and not dataset.overviews(1):
            msg = (
                f"{path.name!r} has {dataset.width} x {dataset.height} pixels and no overviews, too slow to draw: "
                "convert it with gdal_translate -of COG."
            )
            raise ImageryError(msg)
        with _warped(dataset, placement, nodata) as whole:
            native = math.log2(EARTH_CIRCUMFERENCE / TILE_SIZE / _resolution(dataset, placement, whole))
            areas = areas_of(dataset, placement, whole.bounds)
        max_zoom = min(max(round(native), 0), MAX_ZOOM)
        coarsest = max([1, *dataset.overviews(1)])
        tags = dataset.tags()
        return SourceInfo(
            kind="geotiff",
            location=str(path),
            bounds=areas[0] if len(areas) == 1 else (-180.0, areas[0][1], 180.0, areas[0][3]),
            min_zoom=max(0, max_zoom - math.ceil(math.log2(coarsest)) - ZOOMS_BELOW_OVERVIEWS),
            max_zoom=max_zoom,
            tile_size=TILE_SIZE,
            attribution=tags.get("TIFFTAG_COPYRIGHT", "").strip(),
            stretch=choose_stretch(dataset, bands, nodata, wanted.stretch),
            crs=placement.crs.to_string(),
            assigned_crs=wanted.crs,
            bands=wanted.bands,
            nodata=nodata,
            is_nodata_found=nodata is not None and wanted.nodata is None,
            assigned_stretch=wanted.stretch,
        )


def guessed_lines(info: SourceInfo) -> list[str]:
    """Lines for people: what of a GeoTIFF's pixels was guessed, and the option that settles it. Raises ImageryError."""
    path, lines = Path(info.location), []
    with _errors(path), _open(path) as dataset:
        bands = choose_bands(dataset, info.bands)
        if info.bands is None and are_bands_guessed(dataset):
            lines.append(
                f"Nothing says which of its {dataset.count} bands are red, green and blue: 1, 2 and 3 are shown so "
                "(--bands R,G,B if they are not)."
            )
        if info.is_nodata_found:
            lines.append(f"Pixels of the value {info.nodata:g} were taken for empty (--nodata V if another value is).")
        declared = info.nodata is not None or any(MaskFlags.all_valid not in each for each in dataset.mask_flag_enums)
        if not declared and bands.palette is None and (share := black_share(dataset, bands)) >= MUCH_BLACK:
            lines.append(
                f"{share:.0%} of its pixels are 0 in all bands and count as black imagery: if they are empty, import "
                "it again with --nodata 0."
            )
    return lines


class GeoTiffSource:
    """Tiles of one GeoTIFF. Datasets of GDAL belong to one thread at a time, so readers borrow a handle each.

    `areas` is its extent in degrees: west, south, east, north; two boxes where it lies across 180 degrees.
    """

    def __init__(self, info: SourceInfo) -> None:
        self.info = info
        self._path = Path(info.location)
        self._idle: list[_Handle] = []
        self._lock = threading.Lock()
        with self._borrow() as handle:
            self._bands = choose_bands(handle.dataset, info.bands)
            self._placement = placement_of(handle.dataset, info.assigned_crs)
            self._turns = turns_of(handle.dataset, self._placement)
            with _warped(handle.dataset, self._placement, info.nodata) as whole:
                self._resolution = _resolution(handle.dataset, self._placement, whole)
                self.areas = areas_of(handle.dataset, self._placement, whole.bounds)
            needed = needs_stretch(handle.dataset, self._bands)
            named = named_text(handle.dataset, info.bands)
            status = self._path.stat()
        if len(info.stretch or ()) != (len(self._bands.indexes) if needed else 0) and (needed or not info.stretch):
            msg = f"{self._path.name!r} has other bands than when it was imported: import it again."
            raise ImageryError(msg)
        identity = f"{info!r}{info.options_text()}{named} {status.st_size} {status.st_mtime_ns}"
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
            rgba = np.zeros((size, size, 4), dtype=np.uint8)
            for turn in self._turns:
                placement = shifted(self._placement, turn)
                with _warped(dataset, placement, self.info.nodata, resampling=resampling, **grid) as drawn:
                    values = drawn.read(bands.indexes)
                    valid = _mask_of(drawn)
                part = to_rgba(values, valid, bands.palette, self.info.stretch)
                rgba = np.where(rgba[..., 3:] == 0, part, rgba) if len(self._turns) > 1 else part
        return rgba

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


@contextmanager
def _warped(dataset: Any, placement: Placement, nodata: float | None, **options: Any) -> Iterator[Any]:
    """The dataset in web mercator, with a mask of what is valid."""
    empty = dataset.nodata if nodata is None else nodata
    if ColorInterp.alpha in dataset.colorinterp and set(dataset.dtypes) <= WITH_ALPHA:
        validity: dict[str, Any] = {}
    elif set(dataset.dtypes) <= WITH_ALPHA:
        validity = {"add_alpha": True, "src_nodata": empty, "nodata": empty}
    else:  # GDAL has alpha in 8 and 16 bit only: everything else goes by NaN
        validity = {"dtype": "float32", "src_nodata": math.nan if empty is None else empty, "nodata": math.nan}
    with warped(dataset, placement, validity, tolerance=WARP_ERROR_PIXELS, **options) as result:
        yield result


def _mask_of(drawn: Any) -> NDArray[np.uint8]:
    """Validity of each pixel, 0 to 255. Beside bands without a name GDAL does not see that the last one is alpha."""
    if drawn.colorinterp[-1] == ColorInterp.alpha and MaskFlags.all_valid in drawn.mask_flag_enums[0]:
        return np.where(drawn.read(drawn.count) > 0, np.uint8(255), np.uint8(0))
    mask: NDArray[np.uint8] = drawn.dataset_mask()
    return mask


def _resolution(dataset: Any, placement: Placement, whole: Any) -> float:
    return resolution_of(dataset, placement, float(min(whole.res)))


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (RasterioError, CPLE_BaseError, OSError, ValueError) as error:
        reason = " ".join(str(error).replace(str(path), path.name).split()) or type(error).__name__
        msg = f"{path.name!r} cannot be read as a GeoTIFF ({reason[:200]}): check the file with gdalinfo."
        raise ImageryError(msg) from error
