"""Imagery that does not come, or stops coming: said with the reason, and asked about before a tile is done."""

import time

import pytest
from playwright.sync_api import Page, Route
from sqlalchemy import insert, update

from db.models import RunTile, Tile
from tests.browser.conftest import AppServer
from tests.browser.review_ground import Ground, lay
from tests.browser.review_map import ReviewMap
from tests.builders import a_run

EXPIRED = '{"error": "The source answers 403: the key has expired.", "reason": "refused", "sourceStatus": 403}'


@pytest.fixture
def ground(app_server: AppServer) -> Ground:
    return lay(app_server.data, tiles=3, features=2)


def refuse(page: Page) -> None:
    def answer(route: Route) -> None:
        route.fulfill(status=502, body=EXPIRED, content_type="application/json")

    page.route("**/tiles/**", answer)


def test_imagery_that_does_not_come_is_said_with_the_reason_and_tried_again(
    app_server: AppServer, ground: Ground, page: Page
) -> None:
    refuse(page)
    review = ReviewMap(page, app_server.url).open("?order=place")
    banner = review.find(".maploop-alert", has_text="No imagery here: The source answers 403: the key has expired.")
    banner.wait_for()
    page.unroute("**/tiles/**")
    banner.locator("button", has_text="Try again").click()
    review.until(lambda: review.data["imagery"] == "shown", "the imagery")
    assert banner.is_hidden()


def test_a_tile_is_not_finished_on_a_dark_square_without_asking_once(
    app_server: AppServer, ground: Ground, page: Page
) -> None:
    refuse(page)
    review = ReviewMap(page, app_server.url).open("?order=place")
    first, second = map(str, ground.tiles[:2])
    review.until(lambda: review.data["imagery"] == "missing", "the trouble to be seen")
    review.press("a", "a")
    review.finish()
    assert "Enter again finishes the tile" in review.text(".maploop-notice")
    assert "the key has expired" in review.text(".maploop-notice")
    assert review.data["tile"] == first
    page.unroute("**/tiles/**")
    review.press("Enter")
    review.until_tile(second)
    review.until(lambda: review.data["imagery"] == "shown", "the imagery of the next tile")
    review.press("a", "a")
    review.finish()
    review.until_next(second)
    refuse(page)  # the key expires while somebody is at work
    page.reload()
    review.await_tile()
    review.until(lambda: review.data["imagery"] == "missing", "the trouble to be seen")
    review.until_saved()
    assert ground.statuses() == ["complete", "complete", "open"]


def test_a_tile_beyond_all_imagery_says_so(app_server: AppServer, ground: Ground, page: Page) -> None:
    with ground.database.write() as connection:
        connection.execute(update(Tile).where(Tile.id == ground.tiles[1].id).values(imagery_id=None))
    review = ReviewMap(page, app_server.url).open(f"?tile={ground.tiles[1]}")
    assert "No imagery covers this tile" in review.text(".maploop-alert.is-imagery")


def test_a_tile_that_no_model_has_looked_at_does_not_look_done(app_server: AppServer, page: Page) -> None:
    ground = lay(app_server.data, tiles=2, features=0)
    review = ReviewMap(page, app_server.url).open("?order=place")
    first, second = map(str, ground.tiles)
    assert "no model has looked here" in review.text(".maploop-count")
    assert review.find(".maploop-meter.is-full").count() == 0
    assert "No model has looked at this tile" in review.text(".maploop-note")
    review.finish()
    assert "No model has looked at this tile. Is it sure" in review.text(".maploop-notice")
    assert review.data["tile"] == first
    review.press("Enter")
    review.until_tile(second)
    review.press("n", "3")
    review.click(0.2, 0.7)
    review.finish()
    review.find(".maploop-stage").wait_for()
    review.until_saved()
    assert ground.statuses() == ["complete"] * 2


def test_a_tile_that_a_model_found_empty_is_finished_without_a_question(app_server: AppServer, page: Page) -> None:
    ground = lay(app_server.data, tiles=1, features=0)
    with ground.database.write() as connection:
        run = a_run(connection, ground.project)
        connection.execute(insert(RunTile).values(run_id=run, tile_id=ground.tiles[0].id, status="ok"))
    review = ReviewMap(page, app_server.url).open()
    assert "0 features · all decided" in review.text(".maploop-count")
    review.finish()
    review.until(lambda: ground.statuses() == ["complete"], "the tile to be done")


def until_next_second() -> None:
    """Let the second end in which a token was issued: tokens issued in one second are equal, and none is a new one."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.01)


def test_imagery_whose_token_ran_out_comes_with_a_new_one_by_itself(
    app_server: AppServer, ground: Ground, page: Page
) -> None:
    asked: list[str] = []

    def expire(route: Route) -> None:
        token = route.request.url.split("token=")[1]
        asked.append(token)
        if token == asked[0]:
            until_next_second()
            route.fulfill(status=401, body='{"error": "The token has expired."}', content_type="application/json")
        else:
            route.continue_()

    page.route("**/tiles/**", expire)
    review = ReviewMap(page, app_server.url).open("?order=place")
    review.until(lambda: review.data["imagery"] == "shown", "the imagery")
    assert len(set(asked)) > 1
