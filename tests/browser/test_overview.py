"""The overview's map in a real browser: tiles by status, and the way from a square to its review."""

from playwright.sync_api import Page

from tests.browser.conftest import AppServer, Record, until_at_rest
from tests.browser.review_ground import lay
from tests.browser.review_map import ReviewMap


def test_a_click_on_a_square_opens_its_tile_for_review(app_server: AppServer, page: Page, record: Record) -> None:
    ground = lay(app_server.data, tiles=3, features=2)
    page.goto(app_server.url)
    until_at_rest(page)
    frame = page.frame_locator("iframe[title='streamlit_folium.st_folium']")
    frame.locator("img.leaflet-tile-loaded").first.wait_for()
    box = page.locator("iframe[title='streamlit_folium.st_folium']").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)  # the middle one of three
    page.wait_for_url("**/review?**")
    review = ReviewMap(page, app_server.url)
    review.await_tile()
    assert review.data["tile"] == str(ground.tiles[1])
    assert record.page_errors == []
