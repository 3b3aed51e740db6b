"""A feature of several parts under review: shown as one, its parts edited one by one and kept together."""

import pytest
import shapely
from playwright.sync_api import Page

from tests.browser.conftest import AppServer
from tests.browser.review_ground import Ground, lay
from tests.browser.review_map import ReviewMap
from tests.builders import a_prediction, shape_on


@pytest.fixture
def ground(app_server: AppServer) -> Ground:
    ground = lay(app_server.data, tiles=1, features=0)
    tile = ground.tiles[0]
    house = shapely.union_all([shape_on(tile, 11, "polygon"), shape_on(tile, 14, "polygon")])
    road = shapely.union_all([shape_on(tile, 41, "line"), shape_on(tile, 44, "line")])
    with ground.database.write() as connection:
        a_prediction(connection, ground.project, tile, class_name="building", geometry=house, score=0.5)
        a_prediction(connection, ground.project, tile, class_name="road", geometry=road, score=0.6)
    return ground


def test_parts_are_one_feature_that_is_edited_part_by_part(app_server: AppServer, ground: Ground, page: Page) -> None:
    review = ReviewMap(page, app_server.url).open("?order=place")
    assert review.data["total"] == "2"
    review.press("e")
    handle = review.box(".maploop-handle", 0)
    review.drag((handle["cx"], handle["cy"]), (handle["cx"] - 6, handle["cy"] + 6))
    review.frame.get_by_role("button", name="Keep").click()
    review.until(lambda: review.data["decided"] == "1", "the corrected one")
    review.press("a")
    review.until_saved()
    corrected, accepted = ground.decisions()
    assert (corrected["verdict"], accepted["verdict"]) == ("correct", "accept")
    before, after = corrected["geometry_before"], corrected["geometry"]
    assert isinstance(after, shapely.MultiPolygon)
    assert len(after.geoms) == 2
    assert sum(part.equals(old) for part, old in zip(after.geoms, before.geoms, strict=True)) == 1
    assert isinstance(accepted["geometry"], shapely.MultiLineString)
