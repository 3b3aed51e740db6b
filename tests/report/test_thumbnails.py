"""Small pictures of tiles: outlines where the features are, each standing in its own colour, the same bytes again."""

import io

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageColor
from shapely.geometry.base import BaseGeometry

from maploop.imagery.render import encode
from maploop.imagery.tilemath import Tile, from_pixels
from maploop.report.outlines import STROKES, Outline, Standing, counted
from maploop.report.thumbnails import SIZE, thumbnail
from tests.builders import CORNER


def grey(size: int = 64) -> bytes:
    """Imagery that is grey all over."""
    return encode(np.full((size, size, 4), (120, 120, 120, 255), dtype=np.uint8), "png")


def on_tile(geometry: BaseGeometry, tile: Tile = CORNER) -> BaseGeometry:
    """A geometry in pixels of a thumbnail."""
    return from_pixels(geometry, tile, SIZE)


def pixels(image: bytes) -> NDArray[np.int64]:
    """(height, width, 3)."""
    with Image.open(io.BytesIO(image)) as opened:
        assert opened.format == "WEBP"
        return np.asarray(opened.convert("RGB"), dtype=np.int64)


def has_colour(part: NDArray[np.int64], standing: Standing) -> bool:
    """Whether anything in a part of a picture is about the colour of a standing."""
    wanted = np.array(ImageColor.getrgb(STROKES[standing].colour))
    return bool((np.abs(part - wanted).sum(axis=-1) < 90).any())


@pytest.mark.parametrize("standing", list(STROKES))
@pytest.mark.parametrize(
    "shape", [shapely.box(100, 100, 200, 200), shapely.LineString([(100, 150), (200, 150)]), shapely.Point(150, 150)]
)
def test_an_outline_is_drawn_where_the_feature_is(shape: BaseGeometry, standing: Standing) -> None:
    found = pixels(thumbnail(grey(), CORNER, (Outline(on_tile(shape), standing, "building"),)))
    assert found.shape == (SIZE, SIZE, 3)
    assert has_colour(found[90:210, 90:210], standing)
    assert not has_colour(found[220:], standing)
    assert not any(has_colour(found, other) for other in STROKES if other != standing)


def test_holes_and_parts_have_outlines_too() -> None:
    ring = shapely.box(50, 50, 350, 350).difference(shapely.box(150, 150, 250, 250))
    found = pixels(thumbnail(grey(), CORNER, (Outline(on_tile(ring), "true", "building"),)))
    assert has_colour(found[140:160, 140:260], "true")


def test_a_tile_without_imagery_still_shows_its_features() -> None:
    found = pixels(thumbnail(None, CORNER, (Outline(on_tile(shapely.box(100, 100, 200, 200)), "missed", "building"),)))
    assert has_colour(found, "missed")


def test_the_same_tile_gives_the_same_bytes() -> None:
    outlines = (Outline(on_tile(shapely.box(10, 10, 90, 90)), "false", "building"),)
    assert thumbnail(grey(), CORNER, outlines) == thumbnail(grey(), CORNER, outlines)
    assert counted(outlines) == {"true": 0, "false": 1, "missed": 0}
