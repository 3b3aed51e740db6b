"""GeoTIFFs that say in odd ways where they lie and what their numbers mean: shown right, or refused with the remedy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from maploop.errors import ImageryError
from maploop.imagery.coverage import covered_tiles
from maploop.imagery.geotiff import GeoTiffSource, describe_geotiff
from maploop.imagery.raster_options import RasterOptions
from maploop.imagery.tilemath import Tile

from .conftest import GeoTiffMaker

TILE = Tile(18, 138901, 76251)
BESIDE = Tile(18, 138903, 76251)
SIDE = 128
RED, GREEN, BLUE, GREY = (200, 0, 0), (0, 200, 0), (0, 0, 200), (120, 120, 120)


def quarters(dtype: str = "uint8") -> NDArray[Any]:
    """Red, green, blue and grey quarters, (3, SIDE, SIDE)."""
    half = SIDE // 2
    pixels = np.zeros((3, SIDE, SIDE), dtype=dtype)
    for (row, column), colour in zip(((0, 0), (0, 1), (1, 0), (1, 1)), (RED, GREEN, BLUE, GREY), strict=True):
        rows, columns = slice(row * half, (row + 1) * half), slice(column * half, (column + 1) * half)
        pixels[:, rows, columns] = np.array(colour, dtype=dtype)[:, None, None]
    return pixels


def on_tile(tile: Tile = TILE, side: int = SIDE) -> Affine:
    left, bottom, right, top = tile.mercator_bounds
    return Affine((right - left) / side, 0.0, left, 0.0, (bottom - top) / side, top)


def colours_of(source: GeoTiffSource, tile: Tile = TILE) -> list[tuple[int, ...]]:
    """Of the middles of the four quarters of a tile; an empty one is ()."""
    pixels = source.read(tile, 256)
    return [
        tuple(int(value) for value in pixels[row, column, :3]) if pixels[row, column, 3] else ()
        for row in (64, 192)
        for column in (64, 192)
    ]


def opened(path: Path, **options: Any) -> GeoTiffSource:
    return GeoTiffSource(describe_geotiff(path, RasterOptions(**options)))


def placed_by_points(path: Path, bend: Callable[[float], float] = lambda share: share) -> Path:
    """Write the quarters with nine control points in degrees; `bend` moves them along, from 0 to 1."""
    west, south, east, north = TILE.bounds
    points = [
        GroundControlPoint(
            row=row * SIDE,
            col=column * SIDE,
            x=west + (east - west) * bend(column),
            y=north + (south - north) * row,
        )
        for row in (0.0, 0.5, 1.0)
        for column in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(quarters())
        dataset.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_control_points_in_degrees_put_every_quarter_in_its_place(tmp_path: Path) -> None:
    source = opened(placed_by_points(tmp_path / "points.tif"))
    assert colours_of(source) == [RED, GREEN, BLUE, GREY]
    assert not source.read(BESIDE, 64).any()
    assert set(covered_tiles(source, 18)) == {TILE}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_control_points_that_no_plane_fits_are_followed(tmp_path: Path) -> None:
    source = opened(placed_by_points(tmp_path / "bent.tif", lambda share: share + 0.3 * share * (1 - share)))
    pixels = source.read(TILE, 256)
    border = int(np.flatnonzero(pixels[64, :, 1] > 100)[0])  # the middle of the image is moved to the right
    assert border == pytest.approx(0.575 * 256, abs=3)
    assert not source.read(BESIDE, 64).any()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_rational_polynomials_alone_are_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "rpc.tif"
    ones = [1.0] + [0.0] * 19
    rpc = RPC(
        height_off=0.0, height_scale=500.0, lat_off=59.9, lat_scale=0.01, line_off=64.0, line_scale=64.0,
        long_off=10.75, long_scale=0.01, samp_off=64.0, samp_scale=64.0,
        line_num_coeff=ones, line_den_coeff=ones, samp_num_coeff=ones, samp_den_coeff=ones,
    )  # fmt: skip
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(quarters())
        dataset.rpcs = rpc
    with pytest.raises(ImageryError, match=r"RPCs\) alone: orthorectify it first, .* gdalwarp -rpc"):
        describe_geotiff(path)


def test_the_smallest_float_is_nodata_without_being_declared(geotiff: GeoTiffMaker) -> None:
    pixels = quarters("float32") / 255
    pixels[:, : SIDE // 2] = np.finfo(np.float32).min
    source = opened(geotiff(pixels, "EPSG:3857", transform=on_tile()))
    top_left, top_right, *bottom = colours_of(source)
    assert (top_left, top_right) == ((), ())
    assert bottom[0][2] > bottom[1][2]
    share = (source.read(TILE, 256)[..., 3] > 0).mean()
    assert share == pytest.approx(0.5, abs=0.01)


def test_nodata_that_somebody_names_is_empty(geotiff: GeoTiffMaker) -> None:
    path = geotiff(quarters("uint16"), "EPSG:3857", transform=on_tile())
    assert () not in colours_of(opened(path))
    shown = opened(path, nodata=120.0, bands=(1,))
    assert [each == () for each in colours_of(shown)] == [False, False, False, True]


def test_bands_are_found_by_their_descriptions(geotiff: GeoTiffMaker) -> None:
    red, green, blue = quarters()
    near_infrared = np.random.default_rng(1).integers(0, 255, red.shape, dtype=np.uint8)
    bands = np.stack([blue, green, red, near_infrared])
    path = geotiff(bands, "EPSG:3857", transform=on_tile(), photometric="MINISBLACK", alpha="NO")
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Blue", "band 2: green", "red", "nir")
    source = opened(path)
    assert colours_of(source) == [RED, GREEN, BLUE, GREY]
    assert not source.read(BESIDE, 64).any()  # bands without colours have no mask that GDAL sees
    assert [each[0] for each in colours_of(opened(path, bands=(1, 2, 3)))] == [0, 0, 200, 120]


def test_bands_that_are_not_there_are_refused(geotiff: GeoTiffMaker) -> None:
    path = geotiff(quarters(), "EPSG:3857", transform=on_tile())
    for wrong in ((0, 1, 2), (1, 2, 4), (1, 2)):
        with pytest.raises(ImageryError, match="one or three numbers from 1 to 3"):
            describe_geotiff(path, RasterOptions(bands=wrong))


def test_a_stretch_that_somebody_names_is_used(geotiff: GeoTiffMaker) -> None:
    path = geotiff(quarters("uint16"), "EPSG:3857", transform=on_tile())
    assert colours_of(opened(path, stretch=(0.0, 255.0))) == [RED, GREEN, BLUE, GREY]
    plain = geotiff(quarters(), "EPSG:3857", name="plain.tif", transform=on_tile())
    assert colours_of(opened(plain, stretch=(0.0, 400.0)))[0] == (128, 0, 0)


def test_a_negative_is_shown_as_a_positive(geotiff: GeoTiffMaker) -> None:
    grey = np.full((1, SIDE, SIDE), 55, dtype=np.uint8)
    path = geotiff(grey, "EPSG:3857", transform=on_tile(), photometric="MINISWHITE")
    assert colours_of(opened(path))[0] == (200, 200, 200)


def test_lab_colours_are_refused(geotiff: GeoTiffMaker) -> None:
    path = geotiff(quarters(), "EPSG:3857", transform=on_tile(), photometric="CIELAB")
    with pytest.raises(ImageryError, match=r"CIELAB colours, which would be shown false: convert it to RGB first"):
        describe_geotiff(path)


def test_a_crs_can_be_assigned(geotiff: GeoTiffMaker) -> None:
    nowhere = geotiff(quarters(), None, transform=on_tile())
    with pytest.raises(ImageryError, match="has no CRS: say which one it is with --crs"):
        describe_geotiff(nowhere)
    assert colours_of(opened(nowhere, crs="EPSG:3857")) == [RED, GREEN, BLUE, GREY]
    wrong = geotiff(quarters(), "EPSG:32632", name="wrong.tif", transform=on_tile())
    assert colours_of(opened(wrong, crs="EPSG:3857")) == [RED, GREEN, BLUE, GREY]
    with pytest.raises(ImageryError, match="'mars' is not a coordinate reference system"):
        describe_geotiff(nowhere, RasterOptions(crs="mars"))


@pytest.mark.parametrize(
    ("crs", "west"), [("EPSG:4326", 179.99), ("EPSG:4326", -180.01), ("EPSG:3857", None), ("EPSG:32760", None)]
)
def test_an_image_across_180_degrees_has_tiles_on_both_sides(
    geotiff: GeoTiffMaker, crs: str, west: float | None
) -> None:
    x, y = (
        (west, -16.8)
        if west is not None
        else Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(179.99, -16.8)
    )
    pixel = 0.0001 if west is not None else 11.0
    pixels = np.full((3, 200, 200), 150, dtype=np.uint8)
    info = describe_geotiff(geotiff(pixels, crs, transform=Affine(pixel, 0.0, x, 0.0, -pixel, y)))
    assert info.max_zoom in (13, 14)
    source = GeoTiffSource(info)
    tiles = list(covered_tiles(source, 15))
    last = 2**15 - 1
    assert {0, last} <= {tile.x for tile in tiles}
    assert len(tiles) < 20
    for tile in tiles:
        assert source.read(tile, 64)[..., 3].any()
    row = sorted({tile.y for tile in tiles})[1]
    assert (source.read(Tile(15, last, row), 32)[:, 8:, 3] == 255).all()
    assert (source.read(Tile(15, 0, row), 32)[:, :24, 3] == 255).all()


def test_the_fingerprint_of_imagery_without_options_is_as_it_was(geotiff: GeoTiffMaker) -> None:
    info = describe_geotiff(geotiff(quarters(), "EPSG:3857", transform=on_tile()))
    assert "nodata" not in repr(info)
    assert info.options_text() == ""
    assert describe_geotiff(Path(info.location), RasterOptions(nodata=0.0)).options_text() == " nodata=0.0"
