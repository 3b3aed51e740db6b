"""Options of a raster: what a person says of it in place of what the file says."""

import math
from dataclasses import dataclass

from maploop.errors import InputError
from maploop.imagery.bands import BEYOND_PIXELS
from maploop.imagery.info import SourceInfo


@dataclass(frozen=True)
class RasterOptions:
    """Options of a raster that override the file and what is found out.

    crs         such as EPSG:32636
    bands       numbers from 1 of the bands shown as red, green and blue, or of one shown as grey
    stretch     the values shown as black and as white, in all bands alike
    nodata      the value of pixels that hold nothing
    """

    crs: str | None = None
    bands: tuple[int, ...] | None = None
    stretch: tuple[float, float] | None = None
    nodata: float | None = None

    @staticmethod
    def of(info: SourceInfo) -> "RasterOptions":
        """Return the options that a source was described with; fill values that were found are found anew."""
        is_found = info.is_nodata_found or (info.nodata is not None and info.nodata < -BEYOND_PIXELS)
        return RasterOptions(info.assigned_crs, info.bands, info.assigned_stretch, None if is_found else info.nodata)

    def __bool__(self) -> bool:
        return any(each is not None for each in (self.crs, self.bands, self.stretch, self.nodata))


def parse_raster_options(
    crs: str | None = None, bands: str | None = None, stretch: str | None = None, nodata: float | None = None
) -> RasterOptions:
    """Read options as people type them: bands `4,3,2`, stretch `0,3000`; empty texts are none. Raises InputError."""
    return RasterOptions(
        crs=(crs or "").strip() or None,
        bands=_bands(bands) if bands and bands.strip() else None,
        stretch=_stretch(stretch) if stretch and stretch.strip() else None,
        nodata=nodata,
    )


def _bands(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or min(numbers) < 1:
        msg = f"{text!r} are not bands: write the numbers of red, green and blue, such as 4,3,2, or of one."
        raise InputError(msg)
    return numbers


def _stretch(text: str) -> tuple[float, float]:
    try:
        black, white = (float(part) for part in text.split(","))
    except ValueError:
        black = white = math.nan
    if not (math.isfinite(black) and math.isfinite(white) and black != white):
        msg = f"{text!r} is not a stretch: write the values shown as black and as white, such as 0,3000."
        raise InputError(msg)
    return black, white
