"""GeoTIFFs of every sort, through the boundary that callers use: describe, open, read."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from maploop.errors import ImageryError
from maploop.imagery.source import ImagerySource, SourceInfo, describe, open_source
from maploop.imagery.tilemath import Tile, fractional_tile, tile_at

from .conftest import LATITUDE, LONGITUDE, METRES, GeoTiffMaker

Texture = Callable[..., NDArray[Any]]
CRSS = ("EPSG:4326", "EPSG:32636", "EPSG:3857")


def opened(path: Path) -> ImagerySource:
    return open_source(describe(path))


def middle(zoom: int) -> Tile:
    return tile_at(LONGITUDE, LATITUDE, zoom)


def joined(source: ImagerySource, parent: Tile, size: int) -> NDArray[np.uint8]:
    """The four tiles below a parent, put together."""
    parts = [source.read(tile, size) for tile in parent.children(parent.z + 1)]
    return np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])


@pytest.mark.parametrize("crs", CRSS)
@pytest.mark.parametrize("cog", [False, True])
@pytest.mark.parametrize("zoom", [17, 18, 19, 20, 22])
def test_neighbouring_tiles_join_into_the_larger_picture(
    geotiff: GeoTiffMaker, texture: Texture, crs: str, cog: bool, zoom: int
) -> None:
    source = opened(geotiff(texture(), crs, cog=cog))
    parent = middle(zoom)
    difference = joined(source, parent, 256).astype(int) - source.read(parent, 512)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("crs", CRSS)
def test_inside_the_imagery_no_pixel_is_transparent(geotiff: GeoTiffMaker, texture: Texture, crs: str) -> None:
    source = opened(geotiff(texture(), crs, cog=True))
    assert (joined(source, middle(20), 512)[..., 3] == 255).all()


@pytest.mark.parametrize("crs", CRSS)
def test_a_mark_on_the_ground_is_drawn_where_it_lies(geotiff: GeoTiffMaker, crs: str) -> None:
    pixels = np.zeros((3, 600, 600), dtype=np.uint8)
    pixels[:, 200:220, 340:360] = 255
    path = geotiff(pixels, crs)
    with rasterio.open(path) as dataset:
        x, y = dataset.xy(210, 350, offset="ul")
    longitude, latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    tile, size = tile_at(longitude, latitude, 19), 512
    rows, columns = np.nonzero(opened(path).read(tile, size)[..., 0] > 127)
    expected_x, expected_y = fractional_tile(np.array([longitude]), np.array([latitude]), 19)
    assert columns.mean() + 0.5 == pytest.approx((expected_x[0] - tile.x) * size, abs=0.5)
    assert rows.mean() + 0.5 == pytest.approx((expected_y[0] - tile.y) * size, abs=0.5)


def test_what_is_said_of_a_cog_fits_it(geotiff: GeoTiffMaker, texture: Texture) -> None:
    path = geotiff(texture(2048), cog=True)
    info = describe(path)
    assert (info.kind, info.location, info.crs, info.stretch) == ("geotiff", str(path), "EPSG:32636", None)
    assert info.max_zoom == 19  # 0.3 m at the equator is zoom 19 at 256 px
    assert info.bounds is not None
    west, south, east, north = info.bounds
    assert west < LONGITUDE < east
    assert south < LATITUDE < north
    assert (east - west) * 111_320 == pytest.approx(2048 * METRES, rel=0.02)
    assert SourceInfo.from_json(info.to_json()) == info


def test_imagery_of_the_world_has_a_sensible_zoom(geotiff: GeoTiffMaker) -> None:
    pixels = np.full((3, 900, 1800), 9, dtype=np.uint8)
    info = describe(geotiff(pixels, "EPSG:4326", transform=Affine(0.2, 0.0, -180.0, 0.0, -0.2, 90.0)))
    assert info.max_zoom == 3
    assert info.bounds == pytest.approx((-180.0, -85.0511, 180.0, 85.0511), abs=1e-3)
    assert (open_source(info).read(Tile(0, 0, 0), 256)[..., 3] == 255).all()


def test_across_the_antimeridian_both_sides_are_drawn(geotiff: GeoTiffMaker) -> None:
    pixels = np.full((3, 500, 500), 9, dtype=np.uint8)
    info = describe(geotiff(pixels, "EPSG:32760", transform=Affine(100, 0, 800_000, 0, -100, 8_000_000)))
    assert info.max_zoom == 11
    source = open_source(info)
    for longitude in (179.95, -179.9):
        assert (source.read(tile_at(longitude, -18.3, 12), 64)[..., 3] == 255).all()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_giant_without_overviews_is_refused_at_once(geotiff: GeoTiffMaker, tmp_path: Path) -> None:
    options = {"driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "sparse_ok": True, "bigtiff": "YES"}
    path = tmp_path / "giant.tif"
    with rasterio.open(
        path, "w", width=100_000, height=100_000, crs="EPSG:3857", transform=Affine(1, 0, 0, 0, -1, 0), **options
    ):
        pass
    with pytest.raises(ImageryError, match=r"100000 x 100000 pixels and no overviews.*gdal_translate -of COG"):
        describe(path)


def test_outside_its_bounds_it_is_transparent(geotiff: GeoTiffMaker, texture: Texture) -> None:
    source = opened(geotiff(texture()))
    assert not source.read(tile_at(LONGITUDE + 0.1, LATITUDE, 19), 256).any()
    assert not source.read(tile_at(-LONGITUDE, -60.0, 19), 256).any()


def test_sixteen_bits_are_stretched_alike_in_every_tile(geotiff: GeoTiffMaker, texture: Texture) -> None:
    pixels = texture(1024, 3, "uint16", 3000) + 500
    pixels[:, :, :512] //= 4  # one half much darker: a stretch tile by tile would level it
    path = geotiff(pixels.astype("uint16"), cog=True)
    info = describe(path)
    assert info.stretch is not None
    assert all(100 < low < 300 and 2800 < high < 3600 for low, high in info.stretch)
    source = open_source(info)
    parent = middle(19).parent(18)
    difference = joined(source, parent, 256).astype(int) - source.read(parent, 512)
    assert np.abs(difference).max() <= 1
    shown = source.read(parent, 512)
    assert shown[shown[..., 3] > 0][:, :3].min() == 0
    assert shown[..., :3].max() == 255


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_nodata_is_transparent_and_does_not_bend_the_stretch(
    geotiff: GeoTiffMaker, texture: Texture, dtype: str
) -> None:
    pixels = texture(1024, 1, dtype, 1000) + 100
    pixels[:, :512] = 0
    info = describe(geotiff(pixels.astype(dtype), nodata=0))
    assert info.stretch is not None
    assert info.stretch[0][0] > 100
    image = open_source(info).read(middle(20), 512)
    alpha = open_source(info).read(middle(18).parent(17), 512)[..., 3]
    assert set(np.unique(image[..., 3])) <= {0, 255}
    assert 0 < (alpha > 0).mean() < 0.6
    assert not image[image[..., 3] == 0].any()


def test_a_dark_colour_is_not_nodata_while_one_band_has_something_to_say(geotiff: GeoTiffMaker) -> None:
    pixels = np.stack([np.full((512, 512), value, dtype=np.uint8) for value in (0, 90, 0)])
    pixels[:, :200] = 0
    image = opened(geotiff(pixels, nodata=0)).read(middle(18), 512)
    assert {tuple(int(value) for value in colour) for colour in image.reshape(-1, 4)} == {(0, 0, 0, 0), (0, 90, 0, 255)}


def test_undeclared_nan_is_transparent(geotiff: GeoTiffMaker, texture: Texture) -> None:
    pixels = texture(512, 1, "float32", 1)
    pixels[:, 200:300, 200:300] = np.nan
    image = opened(geotiff(pixels)).read(middle(18), 512)
    assert 0 < (image[..., 3] == 0).mean() < 1
    assert (image[..., 3] == 255).any()


def test_an_internal_mask_is_transparent(geotiff: GeoTiffMaker, texture: Texture) -> None:
    mask = np.full((1024, 1024), 255, dtype=np.uint8)
    mask[:, 512:] = 0
    for cog in (False, True):
        image = opened(geotiff(texture(), name=f"{cog}.tif", mask=mask, cog=cog)).read(middle(18), 512)
        with_data = image[..., 3] > 0
        columns = np.nonzero(with_data.any(axis=0))[0]
        assert with_data.any()
        assert np.ptp(columns) <= 512 * METRES / 0.298 + 4


def test_an_alpha_band_is_kept(geotiff: GeoTiffMaker, texture: Texture) -> None:
    pixels = texture(1024, 4)
    pixels[3] = 255
    pixels[3, :512] = 0
    kinds = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    image = opened(geotiff(pixels, colorinterp=kinds)).read(middle(20).parent(18), 512)
    assert 0 < (image[..., 3] == 255).mean() < 1
    assert not image[image[..., 3] == 0].any()


def test_four_bands_without_alpha_show_the_first_three(geotiff: GeoTiffMaker) -> None:
    pixels = np.stack([np.full((512, 512), value, dtype=np.uint8) for value in (10, 20, 30, 0)])
    kinds = (ColorInterp.gray, ColorInterp.undefined, ColorInterp.undefined, ColorInterp.undefined)
    source = opened(geotiff(pixels, colorinterp=kinds))
    assert source.read(middle(21), 64)[32, 32].tolist() == [10, 20, 30, 255]


def test_bands_named_blue_green_red_are_shown_in_their_colours(geotiff: GeoTiffMaker) -> None:
    pixels = np.stack([np.full((512, 512), value, dtype=np.uint8) for value in (10, 20, 30)])
    source = opened(geotiff(pixels, colorinterp=(ColorInterp.blue, ColorInterp.green, ColorInterp.red)))
    assert source.read(middle(21), 64)[32, 32].tolist() == [30, 20, 10, 255]


def test_one_band_is_shown_in_grey(geotiff: GeoTiffMaker, texture: Texture) -> None:
    image = opened(geotiff(texture(512, 1))).read(middle(20), 256)
    assert (image[..., 0] == image[..., 1]).all()
    assert (image[..., 0] == image[..., 2]).all()
    assert np.ptp(image[..., 0].astype(int)) > 100


def test_a_palette_shows_its_own_colours_and_no_mixture(geotiff: GeoTiffMaker) -> None:
    palette = {0: (200, 0, 0, 255), 1: (0, 0, 200, 255), 2: (1, 2, 3, 255)}
    pixels = np.indices((512, 512)).sum(axis=0)[None] // 8 % 3
    image = opened(geotiff(pixels.astype("uint8"), palette=palette, photometric="palette", nodata=2)).read(
        middle(19), 512
    )
    colours = {tuple(int(value) for value in colour) for colour in image.reshape(-1, 4)}
    assert colours == {(200, 0, 0, 255), (0, 0, 200, 255), (0, 0, 0, 0)}


def test_few_bits_are_shown_in_full_contrast(geotiff: GeoTiffMaker) -> None:
    pixels = np.zeros((1, 512, 512), dtype=np.uint8)
    pixels[:, :, 256:] = 15
    info = describe(geotiff(pixels, nbits=4))
    assert info.stretch == ((0.0, 15.0),)
    assert open_source(info).read(middle(19), 256)[..., 0].max() == 255


def test_a_constant_image_is_not_a_division_by_zero(geotiff: GeoTiffMaker) -> None:
    source = opened(geotiff(np.full((1, 256, 256), 7, dtype=np.uint16)))
    assert (source.read(middle(22), 64)[..., 3] == 255).all()


def test_a_rotated_image_is_drawn_rotated(geotiff: GeoTiffMaker, texture: Texture) -> None:
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32636", always_xy=True).transform(LONGITUDE, LATITUDE)
    turned = (
        Affine.translation(x, y) @ Affine.rotation(30) @ Affine.scale(METRES, -METRES) @ Affine.translation(-512, -512)
    )
    info = describe(geotiff(texture(), transform=turned))
    assert info.bounds is not None
    west, south, east, north = info.bounds
    assert (east - west) * 111_320 == pytest.approx(1024 * METRES * 1.366, rel=0.02)  # sin 30 + cos 30 degrees
    source = open_source(info)
    assert (source.read(middle(20), 256)[..., 3] == 255).all()
    for longitude, latitude in ((west, south), (west, north), (east, south), (east, north)):
        assert not source.read(tile_at(longitude, latitude, 21), 256).any()
    parent = middle(18)
    assert np.abs(joined(source, parent, 256).astype(int) - source.read(parent, 512)).max() <= 1


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_control_points_place_an_image(geotiff: GeoTiffMaker, texture: Texture) -> None:
    path = geotiff(texture(), crs=None)
    half = 512 * METRES / 111_320
    corners = [(0, 0, -half, half), (0, 1024, half, half), (1024, 0, -half, -half), (1024, 1024, half, -half)]
    with rasterio.open(path, "r+") as dataset:
        points = [GroundControlPoint(row, column, LONGITUDE + dx, LATITUDE + dy) for row, column, dx, dy in corners]
        dataset.gcps = (points, rasterio.CRS.from_epsg(4326))
    info = describe(path)
    assert info.crs == "EPSG:4326"
    assert info.bounds == pytest.approx(
        (LONGITUDE - half, LATITUDE - half, LONGITUDE + half, LATITUDE + half), abs=1e-5
    )
    assert (open_source(info).read(middle(20), 256)[..., 3] == 255).all()


def test_many_threads_read_the_same_pixels(geotiff: GeoTiffMaker, texture: Texture) -> None:
    source = opened(geotiff(texture(), cog=True))
    tiles = [tile for zoom in (17, 18, 19) for tile in middle(zoom - 1).children(zoom)]
    expected = {tile: source.read(tile, 128) for tile in tiles}
    gate = threading.Barrier(8)

    def read_all(seed: int) -> bool:
        gate.wait()
        order = np.random.default_rng(seed).permutation(len(tiles) * 4) % len(tiles)
        return all(np.array_equal(source.read(tiles[index], 128), expected[tiles[index]]) for index in order)

    with ThreadPoolExecutor(8) as workers:
        assert all(workers.map(read_all, range(8)))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_is_not_a_geotiff_is_refused_by_name(tmp_path: Path, geotiff: GeoTiffMaker, texture: Texture) -> None:
    not_one = tmp_path / "notes.tif"
    not_one.write_text("hello")
    with pytest.raises(ImageryError, match=r"notes\.tif.*cannot be read as a GeoTIFF"):
        describe(not_one)
    vrt = tmp_path / "elsewhere.tif"
    vrt.write_text('<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>')
    with pytest.raises(ImageryError, match="cannot be read"):
        describe(vrt)
    with pytest.raises(ImageryError, match="no CRS"):
        describe(geotiff(texture(64), crs=None, transform=Affine.scale(0.1, -0.1), name="nowhere.tif"))
    with pytest.raises(ImageryError, match="does not say where it lies"):
        describe(geotiff(texture(64), crs="EPSG:4326", transform=Affine.identity(), name="lost.tif"))
    with pytest.raises(ImageryError, match="complex"):
        describe(geotiff(texture(64, 1, "complex64"), name="radar.tif"))
    with pytest.raises(ImageryError, match="does not exist"):
        describe(tmp_path / "missing.tif")


def test_a_truncated_file_is_an_error_and_not_a_crash(geotiff: GeoTiffMaker, texture: Texture) -> None:
    path = geotiff(texture(), compress="deflate", tiled=True, blockxsize=256, blockysize=256)
    info = describe(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) // 2))
    source = open_source(info)
    with pytest.raises(ImageryError, match=r"image\.tif"):
        source.read(middle(18).parent(16), 512)


def test_a_file_that_has_gone_says_so(geotiff: GeoTiffMaker, texture: Texture) -> None:
    path = geotiff(texture(64))
    info = describe(path)
    path.unlink()
    with pytest.raises(ImageryError, match="not there any more"):
        open_source(info)


def test_a_file_of_another_depth_than_imported_is_refused(geotiff: GeoTiffMaker, texture: Texture) -> None:
    info = describe(geotiff(texture(64)))
    geotiff(texture(64, 3, "uint16", 4000))
    with pytest.raises(ImageryError, match="import it again"):
        open_source(info)


def test_a_changed_file_has_another_fingerprint(geotiff: GeoTiffMaker, texture: Texture) -> None:
    path = geotiff(texture(64))
    before = opened(path).fingerprint
    assert opened(path).fingerprint == before
    geotiff(texture(80))
    assert opened(path).fingerprint != before


def test_damaged_stored_info_is_refused() -> None:
    with pytest.raises(ImageryError, match="damaged at 'kind'"):
        SourceInfo.from_json({"kind": "film", "location": "x", "bounds": None, "min_zoom": 0, "max_zoom": 1})
