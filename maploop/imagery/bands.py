"""Which bands of a raster are seen, and how their values become 8 bit."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from maploop.errors import ImageryError

LOW_PERCENTILE, HIGH_PERCENTILE = 2.0, 98.0
SAMPLE_SIDE = 1024  # pixels of the decimated read from which the stretch is taken
FULL_READ_PIXELS = 64_000_000  # a raster without overviews is sampled in windows beyond this
SAMPLE_WINDOWS = 12  # windows a side of that sample
SAMPLE_WINDOW_SIDE = 96

BEYOND_PIXELS = 1e30  # no imagery has such values; fill values are larger
FILLS = (-9_999.0, -99_999.0, -999_999.0, -32_768.0, -32_767.0, -1e20)  # usual ones that files often do not declare
WHITE_FILL = 65_535.0  # of 16 bit without a sign
SENTINEL_2 = {"b04": 0, "b03": 1, "b02": 2}  # as its products number red, green and blue
FOREIGN_COLOURS = {"CIELAB", "ICCLAB", "ITULAB", "LOGL", "LOGLUV"}

Stretch = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Bands:
    """The bands to read (1-based: one for grey or palette, three for colour) and the palette, (n, 4) RGBA, if any."""

    indexes: tuple[int, ...]
    palette: NDArray[np.uint8] | None


def choose_bands(dataset: Any, wanted: tuple[int, ...] | None = None) -> Bands:
    """Choose the bands to show: those `wanted`, else red, green and blue by name, else the first three.

    Grey where there are fewer than three. Raises ImageryError.
    """
    if wanted is not None:
        return _wanted_bands(dataset, wanted)
    _check_colours(dataset)
    kinds = list(dataset.colorinterp)
    if any(np.dtype(dtype).kind == "c" for dtype in dataset.dtypes):
        msg = f"{dataset.name!r} holds complex numbers, not an image: convert it to amplitude first."
        raise ImageryError(msg)
    if kinds[0] == ColorInterp.palette:
        return Bands((1,), _palette(dataset))
    if (named := _named_bands(dataset)) is not None:  # before the kinds, which GDAL makes up where nobody set them
        return Bands(named, None)
    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(kind in kinds for kind in rgb):
        return Bands(tuple(kinds.index(kind) + 1 for kind in rgb), None)
    seen = [index for index, kind in enumerate(kinds, start=1) if kind != ColorInterp.alpha]
    if not seen:
        msg = f"{dataset.name!r} has only an alpha band: give imagery with at least one band of pixels."
        raise ImageryError(msg)
    return Bands(tuple(seen[:3]) if len(seen) >= 3 else (seen[0],), None)


def _wanted_bands(dataset: Any, wanted: tuple[int, ...]) -> Bands:
    if len(wanted) not in (1, 3) or not all(1 <= each <= dataset.count for each in wanted):
        name = dataset.name.rpartition("/")[2]
        numbers = ",".join(map(str, wanted))
        msg = f"{numbers} are not bands of {name!r}: give one or three numbers from 1 to {dataset.count}."
        raise ImageryError(msg)
    return Bands(wanted, None)


def _named_bands(dataset: Any) -> tuple[int, ...] | None:
    """Numbers of the bands whose descriptions name red, green and blue, each once; red edge is not red.

    Sentinel-2's numbers, B04, B03 and B02, are names too.
    """
    words = [re.findall(r"[a-z0-9]+", (each or "").lower()) for each in dataset.descriptions]
    by_number = {
        SENTINEL_2[word]: index for index, each in enumerate(words, start=1) for word in each[:1] if word in SENTINEL_2
    }
    found = []
    for names in ({"red", "r"}, {"green", "g"}, {"blue", "b"}):
        having = [index for index, each in enumerate(words, start=1) if set(each) & names and "edge" not in each]
        exactly = [index for index in having if len(words[index - 1]) == 1]
        best = exactly if len(exactly) == 1 else having
        if len(best) != 1:
            return (by_number[0], by_number[1], by_number[2]) if len(by_number) == 3 else None
        found.append(best[0])
    return tuple(found)


def are_bands_guessed(dataset: Any) -> bool:
    """Tell whether a raster has three bands or more and does not say which are red, green and blue."""
    kinds = list(dataset.colorinterp)
    named = _named_bands(dataset) is not None or kinds[0] == ColorInterp.palette
    rgb = {ColorInterp.red, ColorInterp.green, ColorInterp.blue} <= set(kinds)
    return not named and not rgb and sum(kind != ColorInterp.alpha for kind in kinds) >= 3


def named_text(dataset: Any, wanted: tuple[int, ...] | None) -> str:
    """The bands that are shown by their names, as text for fingerprints; empty where names settle nothing."""
    named = None if wanted else _named_bands(dataset)
    return f" named={named!r}" if named else ""


def _check_colours(dataset: Any) -> None:
    """Raises ImageryError for colour spaces that would be shown in false colours."""
    space = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE", "")
    photometric = getattr(dataset.photometric, "name", "")
    if space.upper() in FOREIGN_COLOURS or photometric.upper() in FOREIGN_COLOURS:
        name = dataset.name.rpartition("/")[2]
        msg = (
            f"{name!r} has {(space or photometric).upper()} colours, which would be shown false: convert it to RGB "
            "first, or say which bands to show with --bands."
        )
        raise ImageryError(msg)


def found_nodata(dataset: Any, bands: Bands, told: float | None = None) -> float | None:
    """Return the value of pixels that hold nothing where it is `told` or goes without saying, else None.

    Rasters are often filled, without a word, with the smallest number there is, or with a usual fill value that lies
    far from all others.
    """
    kinds = {np.dtype(dataset.dtypes[index - 1]).kind for index in bands.indexes}
    if told is not None or dataset.nodata is not None or bands.palette is not None or kinds == {"c"}:
        return told
    if {dataset.dtypes[index - 1] for index in bands.indexes} <= {"uint8", "int8"}:
        return None
    values, valid = _sample(dataset, bands.indexes)
    if kinds == {"f"} and (lost := values[values < -BEYOND_PIXELS]).size:
        return float(lost.min())
    return _usual_fill(values[:, valid], sixteen_bits=set(dataset.dtypes) == {"uint16"})


def _usual_fill(values: NDArray[Any], *, sixteen_bits: bool) -> float | None:
    """A usual fill value that all bands (bands, n) have together, and from which all others are far."""
    fills: tuple[float, ...] = (*FILLS, WHITE_FILL) if sixteen_bits else FILLS
    for fill in fills:
        filled: NDArray[np.bool_] = np.isclose(values, fill, rtol=1e-6, atol=0).all(axis=0)
        others = values[:, ~filled]
        others = others[np.isfinite(others)] if others.dtype.kind == "f" else others
        far = others.size and (others.min() > fill / 2 if fill < 0 else others.max() < fill / 2)
        if far and filled.any():
            return fill
    return None


def black_share(dataset: Any, bands: Bands) -> float:
    """The share of a raster's pixels that are 0 in all bands and count as imagery, 0 to 1."""
    values, valid = _sample(dataset, bands.indexes)
    return float(((values == 0).all(axis=0) & valid).mean())


def _palette(dataset: Any) -> NDArray[np.uint8]:
    colours: dict[int, tuple[int, int, int, int]] = dataset.colormap(1)
    table = np.zeros((max(max(colours) + 1, 256), 4), dtype=np.uint8)
    for value, colour in colours.items():
        table[value] = colour
    return table


def needs_stretch(dataset: Any, bands: Bands) -> bool:
    """Whether the bands are something else than plain 8 bit or a palette."""
    eight = all(dataset.dtypes[index - 1] == "uint8" for index in bands.indexes)
    return bands.palette is None and not (eight and _bits(dataset, bands) == 8 and not _is_negative(dataset))


def choose_stretch(
    dataset: Any, bands: Bands, nodata: float | None = None, told: tuple[float, float] | None = None
) -> Stretch | None:
    """The black and white value of each band, None where no stretch is needed; `told`: those that somebody wants.

    Taken once over the whole raster (2nd and 98th percentile of valid pixels), so that every tile gets the same.
    """
    if told is not None:
        return (told,) * len(bands.indexes)
    if not needs_stretch(dataset, bands):
        return None
    if _is_negative(dataset) and all(dataset.dtypes[index - 1] == "uint8" for index in bands.indexes):
        return tuple((2.0 ** _bits(dataset, bands) - 1.0, 0.0) for _ in bands.indexes)
    if all(dataset.dtypes[index - 1] == "uint8" for index in bands.indexes):
        return tuple((0.0, 2.0 ** _bits(dataset, bands) - 1.0) for _ in bands.indexes)
    values, valid = _sample(dataset, bands.indexes)
    stretch = []
    for band in values:
        seen = band[valid & _is_pixel(band, nodata)].astype(np.float64)
        low, high = np.percentile(seen, [LOW_PERCENTILE, HIGH_PERCENTILE]) if seen.size else (0.0, 1.0)
        black, white = float(low), float(high) if high > low else float(low) + 1.0
        stretch.append((white, black) if _is_negative(dataset) else (black, white))
    return tuple(stretch)


def _is_negative(dataset: Any) -> bool:
    """Whether its smallest value is white (MINISWHITE)."""
    return bool(dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES")


def _is_pixel(values: NDArray[Any], nodata: float | None = None) -> NDArray[np.bool_]:
    """Which values are of pixels: finite, no fill value, not nodata."""
    if values.dtype.kind != "f":
        return (
            np.asarray(values != nodata, dtype=np.bool_)
            if nodata is not None
            else np.ones(values.shape, dtype=np.bool_)
        )
    good: NDArray[np.bool_] = np.isfinite(values) & (np.abs(values) < BEYOND_PIXELS)
    return good if nodata is None else good & (values != nodata)


def _bits(dataset: Any, bands: Bands) -> int:
    """Bits of an 8-bit band that are in use."""
    return max(int(dataset.tags(index, ns="IMAGE_STRUCTURE").get("NBITS", 8)) for index in bands.indexes)


def _sample(dataset: Any, indexes: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values (bands, n) and their validity (n,) from all over the raster, without reading all of a huge one."""
    height, width = dataset.height, dataset.width
    if dataset.overviews(indexes[0]) or height * width <= FULL_READ_PIXELS:
        shape = (max(1, min(height, SAMPLE_SIDE)), max(1, min(width, SAMPLE_SIDE)))
        values = dataset.read(indexes, out_shape=(len(indexes), *shape))
        return values.reshape(len(indexes), -1), dataset.dataset_mask(out_shape=shape).ravel() > 0
    parts, masks = [], []
    for row in np.linspace(0, height - 1, SAMPLE_WINDOWS, dtype=int):
        for column in np.linspace(0, width - 1, SAMPLE_WINDOWS, dtype=int):
            window = Window(column, row, min(SAMPLE_WINDOW_SIDE, width - column), min(SAMPLE_WINDOW_SIDE, height - row))
            parts.append(dataset.read(indexes, window=window).reshape(len(indexes), -1))
            masks.append(dataset.dataset_mask(window=window).ravel() > 0)
    return np.concatenate(parts, axis=1), np.concatenate(masks)


def to_rgba(
    values: NDArray[Any], valid: NDArray[np.uint8], palette: NDArray[np.uint8] | None, stretch: Stretch | None
) -> NDArray[np.uint8]:
    """Bands (n, height, width) and mask (height, width) -> (height, width, 4) RGBA, all 0 where there is no data."""
    rgba = np.empty((*valid.shape, 4), dtype=np.uint8)
    if palette is not None:
        rgba[:] = palette[np.clip(values[0], 0, len(palette) - 1)]
        rgba[..., 3] = np.minimum(rgba[..., 3], valid)
    else:
        finite = valid > 0
        for channel in range(3):
            band = values[channel if len(values) == 3 else 0]
            if band.dtype.kind == "f":
                finite &= _is_pixel(band)
            rgba[..., channel] = band if stretch is None else _stretched(band, *stretch[channel % len(values)])
        rgba[..., 3] = np.where(finite, valid, 0)
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def _stretched(band: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    scaled = np.subtract(band, np.float32(low), dtype=np.float32)
    scaled *= np.float32(255.0 / (high - low))
    np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    np.clip(scaled, 0.0, 255.0, out=scaled)
    rounded: NDArray[np.uint8] = np.rint(scaled, out=scaled).astype(np.uint8)
    return rounded
