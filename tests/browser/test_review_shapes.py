"""Correcting and adding by mouse: vertices, whole moves, redraws, and polygons, lines and points that were missed."""

import pytest
import shapely
from playwright.sync_api import Page

from tests.browser.conftest import AppServer
from tests.browser.review_ground import Ground, lay
from tests.browser.review_map import ReviewMap

NAMES = ("building", "road", "well")


@pytest.fixture
def ground(app_server: AppServer) -> Ground:
    return lay(app_server.data, tiles=2, features=3, class_names=NAMES)


@pytest.fixture
def review(app_server: AppServer, ground: Ground, page: Page) -> ReviewMap:
    return ReviewMap(page, app_server.url).open("?order=place")


def last(review: ReviewMap, ground: Ground) -> dict[str, object]:
    """The decision stored last."""
    review.until_saved()
    return dict(ground.decisions()[-1])


def test_a_vertex_is_dragged(review: ReviewMap, ground: Ground) -> None:
    review.press("e")
    handle = review.box(".maploop-handle", 0)
    review.drag((handle["cx"], handle["cy"]), (handle["cx"] - 10, handle["cy"] + 10))
    review.press("Enter")
    stored = last(review, ground)
    before, after = stored["geometry_before"], stored["geometry"]
    assert stored["verdict"] == "correct"
    assert isinstance(before, shapely.Polygon)
    assert isinstance(after, shapely.Polygon)
    corners = set(before.exterior.coords) & set(after.exterior.coords)
    assert len(corners) == 3  # those nobody touched kept every digit
    assert review.data["index"] == "2"


def test_an_edit_is_dropped_by_escape_and_taken_back_by_backspace(review: ReviewMap, ground: Ground) -> None:
    review.press("e")
    handle = review.box(".maploop-handle", 0)
    review.drag((handle["cx"], handle["cy"]), (handle["cx"] - 10, handle["cy"] + 10))
    review.press("Escape")
    assert review.data["decided"] == "0"
    review.press("e")
    review.drag((handle["cx"], handle["cy"]), (handle["cx"] - 10, handle["cy"] + 10))
    review.press("Backspace", "Enter")
    assert "Nothing was changed" in review.text(".maploop-notice")
    review.press("a")
    review.until_saved()
    assert ground.verdicts() == ["accept"]


def test_a_vertex_is_added_and_removed(review: ReviewMap, ground: Ground) -> None:
    review.press("e")
    middle = review.box(".maploop-handle", 4)
    review.drag((middle["cx"], middle["cy"]), (middle["cx"] + 6, middle["cy"] + 6))
    review.page.wait_for_timeout(50)
    corner = review.box(".maploop-handle", 0)
    review.page.mouse.click(corner["cx"], corner["cy"])
    review.press("Enter")
    after = last(review, ground)["geometry"]
    assert isinstance(after, shapely.Polygon)
    assert len(after.exterior.coords) == 5


def test_an_outline_that_crosses_itself_is_not_kept(review: ReviewMap, ground: Ground) -> None:
    review.press("e")
    a, b, c, d = (review.box(".maploop-handle", index) for index in range(4))
    across = [1.3 * (b[side] + c[side]) / 2 - 0.3 * (a[side] + d[side]) / 2 for side in ("cx", "cy")]
    review.drag((a["cx"], a["cy"]), (across[0], across[1]))  # over the far side
    review.press("Enter")
    assert "crosses itself" in review.text(".maploop-notice")
    assert review.data["decided"] == "0"
    review.press("Escape", "a")
    review.until_saved()
    assert ground.verdicts() == ["accept"]


def test_a_whole_outline_is_moved_by_arrows_and_by_mouse(review: ReviewMap, ground: Ground) -> None:
    review.press("m", "Shift+ArrowRight", "ArrowDown")
    box = review.box(".maploop-movable")
    review.drag((box["cx"], box["cy"]), (box["cx"] + 20, box["cy"]))
    review.press("Enter")
    stored = last(review, ground)
    before, after = stored["geometry_before"], stored["geometry"]
    assert isinstance(before, shapely.Polygon)
    assert isinstance(after, shapely.Polygon)
    shift = (after.centroid.x - before.centroid.x, after.centroid.y - before.centroid.y)
    assert shift[0] > 0 > shift[1]
    assert shift[0] / -shift[1] == pytest.approx(30, rel=0.15)
    assert after.area == pytest.approx(before.area, rel=1e-6)


def test_a_point_is_moved_by_e(review: ReviewMap, ground: Ground) -> None:
    review.press("ArrowRight", "ArrowRight", "e", "ArrowRight", "Enter")
    stored = last(review, ground)
    assert stored["verdict"] == "correct"
    assert isinstance(stored["geometry"], shapely.Point)


def test_an_outline_is_redrawn(review: ReviewMap, ground: Ground) -> None:
    review.press("r")
    for place in ((0.4, 0.4), (0.5, 0.4), (0.5, 0.5)):
        review.click(*place)
    review.press("Enter")
    stored = last(review, ground)
    assert stored["verdict"] == "correct"
    after = stored["geometry"]
    assert isinstance(after, shapely.Polygon)
    assert len(after.exterior.coords) == 4


def test_missed_features_are_drawn_in_the_class_of_a_digit(review: ReviewMap, ground: Ground) -> None:
    review.press("n")
    for place in ((0.3, 0.3), (0.4, 0.3), (0.4, 0.4), (0.3, 0.4), (0.3, 0.3)):
        review.click(*place)
    assert review.data["total"] == "4"
    review.press("n", "2")
    review.click(0.5, 0.2)
    review.click(0.7, 0.3)
    review.click(0.8, 0.3)
    review.press("Backspace")
    review.page.mouse.dblclick(*review.point(0.6, 0.6))
    assert review.data["total"] == "5"
    review.press("n")
    assert "Adding road" in review.text(".maploop-hint")
    review.press("3")
    review.click(0.2, 0.7)
    assert review.data["total"] == "6"
    review.until_saved()
    stored = ground.decisions()
    assert [each["verdict"] for each in stored] == ["add"] * 3
    assert [each["geometry"].geom_type for each in stored] == ["Polygon", "LineString", "Point"]
    assert len(stored[0]["geometry"].exterior.coords) == 5
    assert len(stored[1]["geometry"].coords) == 3
    assert review.data["index"] == "1"


def test_what_was_added_is_undone_and_stays_away(review: ReviewMap, ground: Ground) -> None:
    review.press("n", "3")
    review.click(0.2, 0.7)
    review.press("Backspace")
    assert review.data["total"] == "3"
    review.until_saved()
    review.page.reload()
    review.await_tile()
    assert review.data["total"] == "3"


def test_a_correction_is_undone_to_what_the_model_said(review: ReviewMap, ground: Ground) -> None:
    review.press("m", "ArrowRight", "Enter", "Backspace", "a")
    review.until_saved()
    assert ground.verdicts() == ["correct", "undo", "accept"]
    accepted = ground.decisions()[-1]
    assert accepted["geometry"].equals(ground.decisions()[0]["geometry_before"])


def test_a_class_of_another_geometry_is_not_taken(review: ReviewMap, ground: Ground) -> None:
    review.press("2")
    assert "building is a polygon, road a line" in review.text(".maploop-notice")
    assert review.data["decided"] == "0"


def test_escape_and_backspace_touch_the_drawing_only(review: ReviewMap, ground: Ground) -> None:
    review.press("a", "n")
    review.click(0.3, 0.3)
    review.press("Backspace", "Backspace", "Backspace")
    assert review.find(".is-first").count() == 0
    assert "Adding building" in review.text(".maploop-hint")
    review.click(0.3, 0.3)
    review.press("Escape")
    assert review.data["decided"] == "1"
    review.until_saved()
    assert ground.verdicts() == ["accept"]


def test_a_drawing_outlives_a_reload_and_another_tile(review: ReviewMap, ground: Ground) -> None:
    first, second = map(str, ground.tiles)
    review.press("n", "2")
    review.click(0.3, 0.3)
    review.click(0.5, 0.3)
    review.page.reload()
    review.await_tile()
    assert "Adding road" in review.text(".maploop-hint")
    assert "had not finished" in review.text(".maploop-notice")
    review.find(".maploop-where").click()
    review.find("dialog input").fill(second)
    review.press("Enter")
    review.until_tile(second)
    assert review.find(".maploop-hint").is_hidden()
    review.find(".maploop-where").click()
    review.find("dialog input").fill(first)
    review.press("Enter")
    review.until_tile(first)
    review.click(0.6, 0.6)
    review.press("Enter")
    stored = last(review, ground)
    assert stored["verdict"] == "add"
    assert isinstance(stored["geometry"], shapely.LineString)
    assert len(stored["geometry"].coords) == 3
    review.page.reload()
    review.await_tile()
    assert review.find(".maploop-hint").is_hidden()


def test_an_edit_outlives_a_reload(review: ReviewMap, ground: Ground) -> None:
    review.press("m", "ArrowRight", "ArrowRight")
    review.page.reload()
    review.await_tile()
    assert "Moving building" in review.text(".maploop-hint")
    review.press("Enter")
    stored = last(review, ground)
    assert stored["verdict"] == "correct"
    assert not stored["geometry"].equals(stored["geometry_before"])  # type: ignore[attr-defined]


def test_a_drawing_outside_the_tile_is_refused_where_it_is_drawn(review: ReviewMap, ground: Ground) -> None:
    review.press("n", "2")
    review.click(-0.2, 0.4)
    review.click(-0.1, 0.6)
    review.press("Enter")
    assert f"lies outside tile {ground.tiles[0]}" in review.text(".maploop-notice")
    assert review.data["total"] == "3"
    review.click(0.2, 0.6)
    review.press("Enter")
    review.press("n", "3")
    review.click(-0.1, 0.5)
    assert "This point lies outside" in review.text(".maploop-notice")
    review.click(0.1, 0.5)
    review.until_saved()
    assert ground.verdicts() == ["add", "add"]


def test_a_tile_with_an_unfinished_drawing_is_not_given_away(
    review: ReviewMap, ground: Ground, app_server: AppServer
) -> None:
    review.press("n")
    review.click(0.3, 0.3)
    review.click(0.5, 0.3)
    review.page.get_by_role("link", name="Quality").click()
    review.page.get_by_role("heading", name="Quality").wait_for()
    review.page.get_by_role("link", name="Review").click()
    review.await_tile()
    assert review.data["tile"] == str(ground.tiles[0])
    assert "Adding building" in review.text(".maploop-hint")
