"""Another model's polygons, sharpened: what it found stays found, with a better outline where there is one."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from db.models import Feature, Prediction
from maploop.database import Database
from maploop.imagery.tilemath import Tile, from_pixels, to_pixels
from maploop.predict.choosing import TileChoice
from maploop.predict.hub.earlier import classes_found, found_earlier, state_of
from maploop.predict.hub.sharpen import SharpeningPredictor
from maploop.predict.models import ModelView, add_model, load_model
from maploop.predict.predictor import Assignment, FoundFeature, Outcome
from maploop.predict.run import predict_tiles
from maploop.project import ProjectView
from tests.builders import PlacedTile, a_prediction, shape_on
from tests.predict.ground import TILES, FakePredictor, tile_at
from tests.predict.hub.ground import RED, SIZE, Town

Box = tuple[float, float, float, float]


class CutsOutRed:
    """What is red in a box is its thing."""

    def __init__(self, quality: float = 0.9) -> None:
        self.quality = quality
        self.asked: list[Sequence[Box]] = []

    def in_boxes(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> list[tuple[NDArray[np.bool_], float]]:
        self.asked.append(boxes)
        red = (image == RED).all(axis=2)
        found = []
        for left, top, right, bottom in boxes:
            mask = np.zeros_like(red)
            rows, columns = slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1)
            mask[rows, columns] = red[rows, columns]
            found.append((mask, self.quality))
        return found


def sharpened(town: Town, network: CutsOutRed, boxes: Iterable[Box], column: int = 0) -> Outcome:
    """What becomes of boxes in pixels of the town that a model found on a tile."""
    tile = tile_at(column)
    earlier = [FoundFeature("building", from_pixels(shapely.box(*box), tile_at(0), SIZE), 0.7) for box in boxes]
    predictor = SharpeningPredictor(network, lambda _: {tile: earlier}, ["building"], "", threshold=0.5)
    ((outcome,),) = predictor.predict(Assignment([tile], town.source_of, size=SIZE))
    assert outcome.tile == tile
    return outcome


def bounds(geometry: BaseGeometry) -> tuple[float, ...]:
    return tuple(to_pixels(geometry, tile_at(0), SIZE).bounds)


def test_a_rough_box_becomes_the_outline_of_what_is_in_it() -> None:
    town = Town()
    town.paint(600, 200, 700, 260, RED)
    (feature,) = sharpened(town, CutsOutRed(), [(590, 190, 712, 275)], column=1).features
    assert bounds(feature.geometry) == pytest.approx((600, 200, 700, 260), abs=1)
    assert (feature.class_name, feature.score) == ("building", 0.7)


def test_what_reaches_over_the_border_of_its_tile_is_sharpened_too() -> None:
    town = Town()
    town.paint(460, 200, 540, 260, RED)
    (feature,) = sharpened(town, CutsOutRed(), [(455, 195, 542, 262)]).features
    assert bounds(feature.geometry) == pytest.approx((460, 200, 540, 260), abs=1)


@pytest.mark.parametrize(
    ("network", "box"),
    [
        (CutsOutRed(quality=0.3), (90, 90, 190, 190)),  # it is not sure
        (CutsOutRed(), (300, 300, 400, 400)),  # there is nothing
        (CutsOutRed(), (90, 90, 490, 490)),  # what is there is something else
        (CutsOutRed(), (-400, 90, 190, 190)),  # too far beyond the tile
    ],
)
def test_where_no_good_mask_is_found_the_outline_stays(network: CutsOutRed, box: Box) -> None:
    town = Town()
    town.paint(100, 100, 180, 180, RED)
    (feature,) = sharpened(town, network, [box]).features
    assert bounds(feature.geometry) == pytest.approx(box, abs=1e-6)


def test_a_tile_without_features_is_not_looked_at() -> None:
    network = CutsOutRed()
    outcome = sharpened(Town(), network, [])
    assert (outcome.features, outcome.failure, network.asked) == ((), None, [])


def test_tiles_that_cannot_be_read_or_were_not_predicted_fail_alone() -> None:
    town = Town()
    town.broken.add(tile_at(1))
    feature = FoundFeature("building", from_pixels(shapely.box(600, 200, 700, 260), tile_at(0), SIZE), 0.7)
    predictor = SharpeningPredictor(
        CutsOutRed(), lambda _: {tile_at(0): [], tile_at(1): [feature]}, ["building"], "", threshold=0.5
    )
    tiles = [tile_at(column) for column in range(3)]
    found = [each for some in predictor.predict(Assignment(tiles, town.source_of, size=SIZE)) for each in some]
    assert [each.failure and each.failure.kind for each in found] == [None, "imagery", "waiting"]


def test_a_stopped_run_sharpens_nothing_more() -> None:
    stopped = iter([False, True])
    predictor = SharpeningPredictor(CutsOutRed(), lambda some: {each: [] for each in some}, [], "", threshold=0.5)
    tiles = [tile_at(0), tile_at(1)]
    assignment = Assignment(tiles, Town().source_of, size=SIZE, stopped=lambda: next(stopped))
    assert [each.tile for some in predictor.predict(assignment) for each in some] == [tile_at(0)]


def earlier_on(
    database: Database, project: ProjectView, model: ModelView, *tiles: Tile
) -> dict[Tile, list[tuple[str, float | None]]]:
    with database.read() as connection:
        found = found_earlier(connection, project, model, tiles, [each.id for each in project.classes])
    return {tile: [(each.class_name, each.score) for each in features] for tile, features in found.items()}


def test_the_newest_run_over_a_tile_says_what_is_to_be_sharpened(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    both = [tile_at(0), tile_at(1)]
    with database.read() as connection:
        states = [state_of(connection, model)]
    assert earlier_on(database, project, model, *both) == {}
    predict_tiles(database, project, model, FakePredictor(), TileChoice(given=both))
    assert earlier_on(database, project, model, *both) == {tile: [("building", 0.9)] for tile in both}
    with database.read() as connection:
        states.append(state_of(connection, model))
        assert classes_found(connection, model) == {project.class_named("building").id}
    predict_tiles(database, project, model, FakePredictor(empty=[tile_at(1)]), TileChoice(given=both), again=True)
    assert earlier_on(database, project, model, *both, tile_at(2)) == {tile_at(0): [("building", 0.9)], tile_at(1): []}
    with database.read() as connection:
        states.append(state_of(connection, model))
    assert len(set(states)) == 3


def test_every_import_of_a_file_of_predictions_counts(database: Database, project: ProjectView) -> None:
    with database.write() as connection:
        tile = PlacedTile(1, tile_at(0))
        a_prediction(connection, project, tile, 3, model="files", score=0.4)
        a_prediction(connection, project, tile, 7, model="files", score=0.5)
        model = load_model(connection, project, "files")
    found = earlier_on(database, project, model, tile_at(0), tile_at(1))
    assert found == {tile_at(0): [("building", 0.4), ("building", 0.5)], tile_at(1): []}


def test_sharper_features_take_the_place_of_the_ones_they_came_from(
    database: Database, project: ProjectView, model: ModelView
) -> None:
    predict_tiles(database, project, model, FakePredictor(), TileChoice("all"))
    with database.write() as connection:
        sharper = add_model(connection, project, "sharper", "transformers")

    town = Town()
    for column in range(TILES):
        left, top, right, bottom = bounds(shape_on(PlacedTile(0, tile_at(column))))
        town.paint(round(left) + 3, round(top) + 3, round(right) + 3, round(bottom) + 3)

    def earlier(tiles: Sequence[Tile]) -> Mapping[Tile, Sequence[FoundFeature]]:
        with database.read() as connection:
            return found_earlier(connection, project, model, tiles, [project.class_named("building").id])

    predictor = SharpeningPredictor(CutsOutRed(), earlier, ["building"], "state", threshold=0.5)
    run = predict_tiles(database, project, sharper, predictor, TileChoice("all"), sources=lambda _: town).run
    assert run is not None
    assert (run.report["updated"], run.report["new"], run.report["withdrawn"]) == (TILES, 0, 0)
    with database.read() as connection:
        shown = connection.execute(
            select(Feature.geometry, Prediction.run_id).join(Prediction, Prediction.id == Feature.prediction_id)
        ).all()
    assert {row.run_id for row in shown} == {run.id}
    before = [bounds(shape_on(PlacedTile(0, tile_at(column)))) for column in range(TILES)]
    after = sorted(bounds(row.geometry) for row in shown)
    assert [each[0] for each in after] == pytest.approx([each[0] + 3 for each in before], abs=1)
