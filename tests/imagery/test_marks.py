"""A mark on the ground is drawn where it lies, in every kind of GeoTIFF."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from pyproj import Transformer
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling

from maploop.imagery.source import describe, open_source
from maploop.imagery.tilemath import fractional_tile, tile_at

LONGITUDE, LATITUDE = 10.7530, 59.9135
SIDE, METRES, MARK = 512, 0.5, 8  # pixels, metres a pixel, pixels from the mark's middle to its edge
RED, GROUND = (250, 10, 10), 60
RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def affine(crs: str, *, turned: float = 0, south_up: bool = False) -> Affine:
    """A raster with the mark 40 pixels west and 25 pixels below its middle."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(LONGITUDE, LATITUDE)
    pixel = METRES / 111_320 if crs == "EPSG:4326" else METRES
    return (
        Affine.translation(x, y)
        @ Affine.rotation(turned)
        @ Affine.scale(pixel, pixel if south_up else -pixel)
        @ Affine.translation(40 - SIDE / 2, -25 - SIDE / 2)
    )


def write(path: Path, crs: str, place: Affine, *, dtype: str = "uint8", scale: float = 1, **options: Any) -> Path:
    """A raster of one colour with a red mark; options are GDAL's, and these of ours."""
    bands = options.pop("colours", RED)
    kinds, overviews, mask = options.pop("kinds", None), options.pop("overviews", None), options.pop("mask", None)
    points, driver = options.pop("points", None), options.pop("copy_as", None)
    pixels = np.full((len(bands), SIDE, SIDE), GROUND * scale)
    if len(bands) == 4:
        pixels[3] = 255
    top, left = SIDE // 2 + 25 - MARK, SIDE // 2 - 40 - MARK
    for band, value in enumerate(bands):
        pixels[band, top : top + 2 * MARK, left : left + 2 * MARK] = value * scale
    raw = path.with_suffix(".raw.tif") if driver else path
    where: dict[str, Any] = {"gcps": points, "crs": crs} if points else {"transform": place, "crs": crs}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            raw, "w", driver="GTiff", width=SIDE, height=SIDE, count=len(bands), dtype=dtype, **where, **options
        ) as dataset,
    ):
        if kinds:
            dataset.colorinterp = kinds
        dataset.write(pixels.astype(dtype))
        if mask:
            seen = np.full((SIDE, SIDE), 255, dtype=np.uint8)
            seen[:, :100] = 0
            dataset.write_mask(seen)
        if overviews:
            dataset.build_overviews(overviews, Resampling.average)
    if driver:
        rasterio.shutil.copy(raw, path, driver=driver, blocksize=128, compress="deflate")
    return path


def check_mark(path: Path, zoom: int = 18, size: int = 512) -> None:
    """The mark is red, and its middle within two pixels of where it lies."""
    tile = tile_at(LONGITUDE, LATITUDE, zoom)
    image = open_source(describe(path)).read(tile, size).astype(int)
    red = (image[..., 0] > 150) & (image[..., 1] < 100) & (image[..., 2] < 100) & (image[..., 3] > 0)
    rows, columns = np.nonzero(red)
    assert len(rows), f"no mark in {path.name}"
    x, y = fractional_tile(np.array([LONGITUDE]), np.array([LATITUDE]), zoom)
    assert columns.mean() + 0.5 == pytest.approx((x[0] - tile.x) * size, abs=2)
    assert rows.mean() + 0.5 == pytest.approx((y[0] - tile.y) * size, abs=2)


@pytest.mark.parametrize(
    "crs", ["EPSG:3857", "EPSG:4326", "EPSG:25832", "EPSG:25833", "EPSG:3035", "EPSG:2180", "EPSG:5514", "EPSG:3413"]
)
def test_in_any_crs_whatever_the_order_of_its_axes(tmp_path: Path, crs: str) -> None:
    check_mark(write(tmp_path / "town.tif", crs, affine(crs)))


@pytest.mark.parametrize("turned", [10, 90, 123, 180, 200])
def test_in_a_turned_one(tmp_path: Path, turned: float) -> None:
    check_mark(write(tmp_path / "town.tif", "EPSG:25832", affine("EPSG:25832", turned=turned)))


def test_in_one_whose_first_row_is_the_southernmost(tmp_path: Path) -> None:
    check_mark(write(tmp_path / "town.tif", "EPSG:25832", affine("EPSG:25832", south_up=True)))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:25832", "EPSG:3857"])
def test_in_one_placed_by_control_points(tmp_path: Path, crs: str) -> None:
    place = affine(crs, turned=33)
    corners = [(row, column) for row in (0, SIDE / 2, SIDE) for column in (0, SIDE / 2, SIDE)]
    points = [GroundControlPoint(row, column, *(place @ (column, row))) for row, column in corners]
    check_mark(write(tmp_path / "town.tif", crs, place, points=points))


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "uint16", "scale": 40},
        {"dtype": "int16", "scale": 40},
        {"dtype": "uint32", "scale": 400},
        {"dtype": "float32", "scale": 0.004},
        {"colours": (*RED, 255), "kinds": RGBA},
        {"colours": (*RED, 200), "photometric": "RGB"},  # near infrared, no alpha
        {"interleave": "band"},
        {"compress": "jpeg", "photometric": "ycbcr", "tiled": True, "blockxsize": 128, "blockysize": 128},
        {"BIGTIFF": "YES"},
        {"mask": True},
        {"nodata": 0},
        {"copy_as": "COG"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_in_any_depth_and_layout(tmp_path: Path, options: dict[str, Any]) -> None:
    check_mark(write(tmp_path / "town.tif", "EPSG:25832", affine("EPSG:25832"), **options))


@pytest.mark.parametrize("zoom", [16, 17, 20])
@pytest.mark.parametrize("mask", [False, True])
def test_in_overviews_and_enlarged(tmp_path: Path, zoom: int, mask: bool) -> None:
    check_mark(write(tmp_path / "town.tif", "EPSG:25832", affine("EPSG:25832"), overviews=[2, 4, 8], mask=mask), zoom)
