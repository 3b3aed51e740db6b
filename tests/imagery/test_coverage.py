"""Which tiles have pixels: looked up in rasters, bounded, capped."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from maploop.errors import ImageryError
from maploop.imagery.coverage import covered_tiles
from maploop.imagery.source import ImagerySource, describe, open_source
from maploop.imagery.tilemath import Tile, tile_at

from .conftest import LATITUDE, LONGITUDE, GeoTiffMaker

Texture = Callable[..., NDArray[Any]]
ZOOM = 20


def with_pixels(source: ImagerySource, zoom: int) -> set[Tile]:
    """The slow way: every tile near the middle, read in full, with more than a sliver of data."""
    middle = tile_at(LONGITUDE, LATITUDE, zoom)
    found = set()
    for y in range(middle.y - 8, middle.y + 9):
        for x in range(middle.x - 8, middle.x + 9):
            tile = Tile(zoom, x, y)
            if (source.read(tile, 64)[..., 3] > 0).mean() > 0.02:
                found.add(tile)
    return found


def almost_empty(source: ImagerySource, tiles: set[Tile]) -> bool:
    return all((source.read(tile, 64)[..., 3] > 0).mean() < 0.1 for tile in tiles)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32636", "EPSG:3857"])
def test_tiles_with_pixels_are_found_and_no_others(geotiff: GeoTiffMaker, texture: Texture, crs: str) -> None:
    source = open_source(describe(geotiff(texture(), crs, cog=True)))
    found = list(covered_tiles(source, ZOOM))
    assert len(found) == len(set(found)) >= 64
    expected = with_pixels(source, ZOOM)
    assert almost_empty(source, set(found) ^ expected)


def test_tiles_that_are_wholly_nodata_are_left_out(geotiff: GeoTiffMaker, texture: Texture) -> None:
    pixels = texture(1024, 1, "uint16", 900) + np.uint16(1)
    pixels[:, :, :600] = 0
    pixels[:, 700:] = 0
    source = open_source(describe(geotiff(pixels, nodata=0)))
    found = set(covered_tiles(source, ZOOM))
    assert 0 < len(found) < 45
    assert almost_empty(source, found ^ with_pixels(source, ZOOM))


def test_bounds_cut_the_coverage(geotiff: GeoTiffMaker, texture: Texture) -> None:
    source = open_source(describe(geotiff(texture())))
    middle = tile_at(LONGITUDE, LATITUDE, ZOOM)
    assert list(covered_tiles(source, ZOOM, bounds=middle.bounds)) == [middle]
    assert list(covered_tiles(source, ZOOM, bounds=(0.0, 0.0, 1.0, 1.0))) == []


def test_low_zooms_are_covered_too(geotiff: GeoTiffMaker, texture: Texture) -> None:
    source = open_source(describe(geotiff(texture(), cog=True)))
    assert tile_at(LONGITUDE, LATITUDE, 17) in set(covered_tiles(source, 17))


def test_an_absurd_count_is_refused_at_once(geotiff: GeoTiffMaker, texture: Texture) -> None:
    source = open_source(describe(geotiff(texture(64), metres=1000.0)))
    with pytest.raises(ImageryError, match="tiles at zoom 24, at most 1,000,000 are allowed: choose a lower zoom"):
        covered_tiles(source, 24)
    with pytest.raises(ImageryError, match="Zoom 25 does not exist"):
        covered_tiles(source, 25)
    with pytest.raises(ImageryError, match="are not bounds"):
        covered_tiles(source, 20, bounds=(3.0, 0.0, 1.0, 1.0))
