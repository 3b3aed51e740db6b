"""Undeclared properties of GeoTIFFs: fill values, and the order of bands, are guessed aloud or asked about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from maploop.imagery.geotiff import guessed_lines
from maploop.imagery.raster_options import RasterOptions
from maploop.imagery.source import describe, open_source
from maploop.imagery.tilemath import tile_at

from .conftest import LATITUDE, LONGITUDE, GeoTiffMaker

Texture = Callable[..., NDArray[Any]]
MIDDLE = tile_at(LONGITUDE, LATITUDE, 18)


def described(path: Path, *names: str) -> Path:
    """Give its bands descriptions."""
    with rasterio.open(path, "r+") as dataset:
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)
    return path


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("float32", -3.4028234663852886e38),
        ("float32", -9999),
        ("float32", -32768),
        ("float64", -1e20),
        ("int16", -9999),
        ("int16", -32768),
        ("int32", -99999),
        ("uint16", 65535),
    ],
)
def test_a_usual_fill_value_that_nobody_declared_is_empty(
    geotiff: GeoTiffMaker, texture: Texture, dtype: str, fill: float
) -> None:
    pixels = (texture(512, 3, "float64", 2000) + 100).astype(dtype)
    pixels[:, :256] = fill
    info = describe(geotiff(pixels))
    assert info.nodata == pytest.approx(fill)
    assert f"Pixels of the value {fill:g} were taken for empty" in guessed_lines(info)[-1]
    image = open_source(info).read(MIDDLE.parent(17), 512)
    seen = image[..., 3] > 0
    assert 0 < seen.mean() < 0.2, "the southern half of 150 m on a tile of 300 m"
    assert np.ptp(image[seen][:, 0].astype(int)) > 200, "the fill value does not bend the stretch"
    assert RasterOptions.of(info).nodata is None, "found anew when the file is imported again"


def test_a_value_that_only_some_bands_have_or_near_others_is_no_fill(geotiff: GeoTiffMaker, texture: Texture) -> None:
    one_band = texture(512, 3, "float32", 1)
    one_band[0, :256] = -9999
    assert describe(geotiff(one_band, name="one_band.tif")).nodata is None
    near = -texture(512, 3, "float32", 20_000)
    near[:, :256] = -9999
    assert describe(geotiff(near, name="near.tif")).nodata is None
    bright = texture(512, 3, "uint16", 65_000)
    bright[:, :256] = 65_535
    assert describe(geotiff(bright, name="bright.tif")).nodata is None


@pytest.mark.parametrize(
    "names",
    [
        ("blue", "green", "red", "red edge", "nir"),
        ("Blue", "Green", "Red", "RedEdge", "NIR"),
        ("B2 Blue", "B3 Green", "B4 Red", "B5 Red edge", "B8 NIR"),
        ("B02", "B03", "B04", "B05", "B08"),
        ("B02 (490 nm)", "B03 (560 nm)", "B04 (665 nm)", "B05 (705 nm)", "B08 (842 nm)"),
    ],
)
def test_red_is_found_beside_red_edge_and_among_numbers(geotiff: GeoTiffMaker, names: tuple[str, ...]) -> None:
    pixels = np.stack([np.full((512, 512), value, dtype=np.uint8) for value in (10, 20, 30, 40, 50)])
    kinds = (ColorInterp.gray, *[ColorInterp.undefined] * 4)
    info = describe(described(geotiff(pixels, colorinterp=kinds), *names))
    assert open_source(info).read(MIDDLE, 64)[32, 32].tolist() == [30, 20, 10, 255]
    assert guessed_lines(info) == []


def test_bands_that_nothing_names_are_guessed_aloud(geotiff: GeoTiffMaker) -> None:
    pixels = np.stack([np.full((64, 64), value, dtype=np.uint8) for value in (10, 20, 30, 40)])
    path = geotiff(pixels, colorinterp=(ColorInterp.gray, *[ColorInterp.undefined] * 3))
    (line,) = guessed_lines(describe(path))
    assert line.startswith("Nothing says which of its 4 bands are red, green and blue: 1, 2 and 3 are shown so")
    assert guessed_lines(describe(path, raster=RasterOptions(bands=(3, 2, 1)))) == []


def test_black_that_may_be_empty_is_told_until_somebody_says_so(geotiff: GeoTiffMaker, texture: Texture) -> None:
    pixels = texture(512, 3, "uint8", 200) + 1
    assert guessed_lines(describe(geotiff(pixels))) == []
    pixels[:, :128] = 0
    path = geotiff(pixels)
    (line,) = guessed_lines(describe(path))
    assert line.startswith("25% of its pixels are 0 in all bands and count as black imagery")
    assert guessed_lines(describe(path, raster=RasterOptions(nodata=0))) == []
    assert guessed_lines(describe(geotiff(pixels, nodata=0))) == []
