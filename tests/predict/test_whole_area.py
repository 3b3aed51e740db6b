"""The local model on tiles: features at borders are whole and come once, whatever tiles are asked for."""

from collections.abc import Iterator

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely import LineString
from shapely.geometry.base import BaseGeometry

from maploop.errors import ImageryError
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.tilemath import Tile, to_pixels
from maploop.predict.local import LocalModel, PredictedFeature, ReadWindow
from maploop.predict.predictor import Assignment, Outcome
from maploop.predict.whole_area import WholeAreaPredictor

FIRST = Tile(19, 262_144, 262_144)  # the corner of a block
SIZE = 64
HOUSE = (250, 0, 0)
ROAD = (0, 250, 0)


class Sees(LocalModel):
    """Finds red rectangles and the middle of green stripes exactly."""

    def __init__(self) -> None:
        self.classes = {"house": "polygon", "road": "line"}
        self.sizes: list[tuple[int, int]] = []

    def predict_area(
        self, read: ReadWindow, width: int, height: int, block: int = 1024, progress: object = None
    ) -> list[PredictedFeature]:
        self.sizes.append((width, height))
        if callable(progress):
            progress(1.0)
        image = read(0, 0, width, height)
        found: list[PredictedFeature] = []
        for name, colour in (("house", HOUSE), ("road", ROAD)):
            rows, columns = np.nonzero((image == colour).all(axis=2))
            if len(rows):
                box = shapely.box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                middle = (rows.min() + rows.max() + 1) / 2
                line = LineString([(columns.min(), middle), (columns.max() + 1, middle)])
                found.append(PredictedFeature(name, box if name == "house" else line, 0.9))
        return found


class Canvas:
    """Imagery of 16 x 4 tiles from `FIRST` on, with shapes in pixels of it."""

    info = SourceInfo("geotiff", "/canvas.tif", None, 0, 20)
    fingerprint = "canvas"

    def __init__(self) -> None:
        self.pixels: NDArray[np.uint8] = np.full((4 * SIZE, 16 * SIZE, 3), 90, dtype=np.uint8)
        self.broken: set[Tile] = set()
        self.bare: set[Tile] = set()

    def paint(self, left: int, top: int, right: int, bottom: int, colour: tuple[int, int, int]) -> None:
        self.pixels[top:bottom, left:right] = colour

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        if tile in self.broken:
            msg = f"{tile} is torn."
            raise ImageryError(msg)
        left, top = (tile.x - FIRST.x) * size, (tile.y - FIRST.y) * size
        alpha = np.full((size, size, 1), 0 if tile in self.bare else 255, dtype=np.uint8)
        return np.concatenate([self.pixels[top : top + size, left : left + size], alpha], axis=2)

    def source_of(self, tile: Tile) -> ImagerySource | None:
        inside = 0 <= tile.x - FIRST.x < 16 and 0 <= tile.y - FIRST.y < 4
        return self if inside else None


@pytest.fixture
def canvas() -> Canvas:
    return Canvas()


def at(column: int, row: int = 0) -> Tile:
    return Tile(FIRST.z, FIRST.x + column, FIRST.y + row)


def outcomes(canvas: Canvas, tiles: list[Tile], done: frozenset[Tile] = frozenset()) -> dict[Tile, Outcome]:
    assignment = Assignment(tiles, canvas.source_of, done=done, size=SIZE)
    answers = [each for batch in WholeAreaPredictor(Sees()).predict(assignment) for each in batch]
    assert sorted(each.tile for each in answers) == sorted(tiles)
    return {each.tile: each for each in answers}


def pixels(geometry: BaseGeometry) -> tuple[int, ...]:
    return tuple(round(value) for value in to_pixels(geometry, FIRST, SIZE).bounds)


def test_a_house_across_a_border_is_whole_and_counts_for_the_tile_with_its_middle(canvas: Canvas) -> None:
    canvas.paint(40, 10, 80, 30, HOUSE)
    found = outcomes(canvas, [at(0), at(1)])
    (house,) = found[at(0)].features
    assert pixels(house.geometry) == (40, 10, 80, 30)
    assert found[at(1)].features == ()


@pytest.mark.parametrize(("asked", "done", "owner"), [([7, 8], [], 7), ([8], [], 8), ([8], [7], None)])
def test_a_house_across_a_block_comes_once(
    canvas: Canvas, asked: list[int], done: list[int], owner: int | None
) -> None:
    """Its middle is on tile 7, the last of a block."""
    canvas.paint(8 * SIZE - 30, 10, 8 * SIZE + 20, 30, HOUSE)
    found = outcomes(canvas, [at(each) for each in asked], frozenset(at(each) for each in done))
    assert [tile for tile, each in found.items() if each.features] == ([] if owner is None else [at(owner)])
    for each in found.values():
        for feature in each.features:
            assert pixels(feature.geometry) == (8 * SIZE - 30, 10, 8 * SIZE + 20, 30)


def test_lines_end_at_the_border_of_what_is_looked_at_together(canvas: Canvas) -> None:
    canvas.paint(0, 20, 16 * SIZE, 24, ROAD)
    found = outcomes(canvas, [at(column) for column in range(16)])
    roads = [pixels(feature.geometry) for each in found.values() for feature in each.features]
    assert sorted(roads) == [(0, 22, 8 * SIZE, 22), (8 * SIZE, 22, 16 * SIZE, 22)]


def test_tiles_far_apart_are_not_looked_at_as_one_picture(canvas: Canvas) -> None:
    model = Sees()
    assignment = Assignment([at(0), at(7, 3)], canvas.source_of, size=SIZE)
    assert len(list(WholeAreaPredictor(model).predict(assignment))) == 2
    assert max(width for width, _ in model.sizes) < 8 * SIZE


def test_a_picture_ends_where_the_imagery_does(canvas: Canvas) -> None:
    model = Sees()
    list(
        WholeAreaPredictor(model).predict(
            Assignment([at(x, y) for x in range(8) for y in range(4)], canvas.source_of, size=SIZE)
        )
    )
    ((width, height),) = model.sizes
    assert height == 4 * SIZE
    assert 8 * SIZE < width < 16 * SIZE


def test_a_tile_that_cannot_be_read_fails_and_the_others_do_not(canvas: Canvas) -> None:
    canvas.broken.add(at(1))
    canvas.paint(10, 10, 30, 30, HOUSE)
    found = outcomes(canvas, [at(0), at(1)])
    assert len(found[at(0)].features) == 1
    failure = found[at(1)].failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("imagery", f"{at(1)} is torn.")


def test_a_tile_without_pixels_is_a_failure_and_no_empty_answer(canvas: Canvas) -> None:
    canvas.bare.add(at(1))
    canvas.paint(10, 10, 30, 30, HOUSE)
    found = outcomes(canvas, [at(0), at(1)])
    assert len(found[at(0)].features) == 1
    failure = found[at(1)].failure
    assert failure is not None
    assert (failure.kind, failure.message) == (
        "imagery",
        f"The imagery has no pixels for {at(1)}: use other imagery there.",
    )


def test_a_stopped_run_gets_no_half_block(canvas: Canvas) -> None:
    stopped: Iterator[bool] = iter([False, True])
    assignment = Assignment([at(0), at(1)], canvas.source_of, size=SIZE, stopped=lambda: next(stopped))
    assert list(WholeAreaPredictor(Sees()).predict(assignment)) == []
