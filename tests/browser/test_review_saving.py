"""Nothing is lost: servers killed, networks cut, reloads, two tabs, claims that ran out."""

import json

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route
from sqlalchemy import delete, insert, select

from db.models import Claim, Tile
from db.types import utc_now
from maploop.project import annotator_id
from tests.browser.annotators import pick
from tests.browser.conftest import AppServer
from tests.browser.review_ground import Ground, lay
from tests.browser.review_map import ReviewMap


@pytest.fixture
def ground(app_server: AppServer) -> Ground:
    return lay(app_server.data, tiles=3, features=6)


@pytest.fixture
def review(app_server: AppServer, ground: Ground, page: Page) -> ReviewMap:
    return ReviewMap(page, app_server.url).open("?order=place")


def test_a_killed_server_loses_and_doubles_nothing(review: ReviewMap, ground: Ground, app_server: AppServer) -> None:
    review.press("a")
    review.until_saved()
    app_server.kill()
    review.press("x", "s", "a")
    assert review.data["decided"] == "4"
    assert review.data["unsaved"] == "3"
    review.until(lambda: "trying again" in review.text(".maploop-save"), "the trouble to be shown")
    app_server.start()
    review.until_saved()
    assert ground.verdicts() == ["accept", "reject", "unsure", "accept"]
    assert len({each["id"] for each in ground.decisions()}) == 4


def test_without_a_network_work_goes_on_and_is_sent_later(review: ReviewMap, ground: Ground) -> None:
    first = review.data["tile"]
    review.until_ahead()
    review.page.context.set_offline(True)
    review.press("a", "a", "a", "a", "a", "a")
    review.finish()
    review.until_next(first)
    review.press("x")
    assert review.data["unsaved"] == "8"
    review.page.context.set_offline(False)
    review.until_saved()
    assert ground.verdicts() == ["accept"] * 6 + ["reject"]
    assert ground.acts() == ["complete"]


def test_a_reload_with_unsaved_work_sends_it_first(review: ReviewMap, ground: Ground) -> None:
    tile = review.data["tile"]
    review.page.route("**/api/review/outbox", lambda route: route.abort())
    review.press("a", "x")
    assert review.data["unsaved"] == "2"
    review.page.on("dialog", lambda dialog: dialog.accept())
    review.page.unroute("**/api/review/outbox")
    review.page.route("**/api/review/outbox", lambda route: route.abort(), times=1)
    review.page.reload()
    review.await_tile()
    review.until_saved()
    review.until(lambda: review.data["decided"] == "2", "the decisions made before the reload")
    assert review.data["tile"] == tile
    assert ground.verdicts() == ["accept", "reject"]


def test_the_page_warns_before_it_is_left_with_unsaved_work(review: ReviewMap) -> None:
    warnings: list[str] = []

    def warned(dialog: Dialog) -> None:
        warnings.append(dialog.type)
        dialog.accept()

    review.page.on("dialog", warned)
    review.page.reload()
    review.await_tile()
    assert warnings == []
    review.page.route("**/api/review/outbox", lambda route: route.abort())
    review.press("a")
    review.page.reload()
    review.await_tile()
    assert warnings == ["beforeunload"]


def test_another_tab_sends_what_a_closed_one_left(review: ReviewMap, ground: Ground, app_server: AppServer) -> None:
    other = ReviewMap(review.page.context.new_page(), app_server.url).open("?order=place")
    assert other.data["tile"] != review.data["tile"]
    review.page.route("**/api/review/outbox", lambda route: route.abort())
    review.press("a", "a")
    assert review.data["unsaved"] == "2"
    assert other.data["unsaved"] == "0"
    review.page.close()
    other.until(lambda: len(ground.decisions()) == 2, "the closed tab's decisions")
    other.until_saved()


def test_two_tabs_on_one_tile_do_not_decide_twice(review: ReviewMap, ground: Ground, app_server: AppServer) -> None:
    tile = review.data["tile"]
    other = ReviewMap(review.page.context.new_page(), app_server.url).open(f"?tile={tile}")
    assert other.data["tile"] == tile
    review.press("a")
    review.until_saved()
    other.press("x")
    other.until(lambda: "in the meantime" in other.text(".maploop-notices"), "the news")
    assert ground.verdicts() == ["accept"]
    assert other.data["decided"] == "1"
    assert "1 not saved" in other.text(".maploop-save")
    other.press("u")
    other.find("dialog button", has_text="Discard").click()
    assert other.data["unsaved"] == "0"


def test_a_lost_claim_is_said_and_the_work_is_kept(review: ReviewMap, ground: Ground) -> None:
    tile = review.data["tile"]
    with ground.database.write() as connection:
        ben = annotator_id(connection, "ben")
        row = next(each for each in ground.tiles if str(each) == tile)
        connection.execute(delete(Claim).where(Claim.tile_id == row.id))
        ends = utc_now().replace(year=2100)
        connection.execute(insert(Claim).values(tile_id=row.id, annotator_id=ben, expires_at=ends))
    review.press("a", "x")
    review.find("dialog").wait_for()
    assert f"Tile {tile} is held by ben now" in review.text("dialog h2")
    assert review.data["unsaved"] == "2"
    with review.page.expect_download() as download:
        review.find("dialog button", has_text="Download").click()
    assert '"verdict": "reject"' in download.value.path().read_text()
    with ground.database.write() as connection:
        connection.execute(delete(Claim).where(Claim.tile_id == row.id))
    review.find("dialog button", has_text="Try all again").click()
    review.until_saved()
    assert ground.verdicts() == ["accept", "reject"]
    review.press("Escape")
    review.find(".maploop-stage button", has_text="Next tile").click()
    review.until_next(tile)


def test_a_refused_complete_leads_back(review: ReviewMap, ground: Ground) -> None:
    tile = review.data["tile"]
    refusal = '{{"stored": [], "refused": [{{"id": "{id}", "code": "invalid", "message": "No.", "feature": null}}]}}'

    def refuse(route: Route) -> None:
        entries = json.loads(route.request.post_data or "{}")["entries"]
        if entries[0]["type"] == "tile":
            route.fulfill(body=refusal.format(id=entries[0]["id"]), content_type="application/json")
        else:
            route.continue_()

    review.press("a", "a", "a", "a", "a", "a")
    review.until_saved()
    review.page.route("**/api/review/outbox", refuse)
    review.finish()
    review.find(".maploop-banner", has_text=f"Tile {tile} is not finished: No.").wait_for()
    review.page.unroute("**/api/review/outbox")
    review.find(".maploop-banner button").click()
    review.until_tile(tile)
    assert review.data["decided"] == "6"
    review.finish()
    review.until_saved()
    review.until(lambda: ground.acts() == ["complete"], "the tile to be finished")


def test_the_tile_ahead_is_given_back_when_the_page_goes(
    review: ReviewMap, ground: Ground, app_server: AppServer, chromium: Browser
) -> None:
    review.press("a")
    review.until_saved()

    def held() -> int:
        with ground.database.read() as connection:
            return len(connection.execute(Claim.__table__.select()).all())

    review.until(lambda: held() == 2, "the tile to be claimed ahead")
    review.page.goto(f"{app_server.url}/import")
    review.until(lambda: held() == 1, "the tile ahead to be given back, while that with a decision on it stays")


def test_a_second_browser_of_the_same_person_does_not_give_the_tile_away(
    review: ReviewMap, ground: Ground, app_server: AppServer, chromium: Browser
) -> None:
    tile = review.data["tile"]
    elsewhere = chromium.new_context()
    other = ReviewMap(elsewhere.new_page(), app_server.url).open("?order=place")
    assert other.data["tile"] == tile
    other.page.goto(f"{app_server.url}/import")
    other.page.get_by_role("heading", name="Import").wait_for()
    elsewhere.close()
    with ground.database.read() as connection:
        held = connection.execute(select(Tile.x).join(Claim, Claim.tile_id == Tile.id)).scalars().all()
    assert int(tile.split("/")[1]) in held
    review.press("a")
    review.until_saved()


def test_decisions_of_one_person_are_not_sent_as_anothers(review: ReviewMap, ground: Ground) -> None:
    tile = review.data["tile"]
    review.page.route("**/api/review/outbox", lambda route: route.abort())
    review.press("a")
    review.page.on("dialog", lambda dialog: dialog.accept())
    pick(review.page, "ben")
    review.page.unroute("**/api/review/outbox")
    review.until_next(tile)
    review.press("x")
    review.until_saved()
    assert ground.verdicts() in (["reject"], ["accept", "reject"])
    decided = {each["annotator_id"]: each["verdict"] for each in ground.decisions()}
    with ground.database.write() as connection:
        assert decided[annotator_id(connection, "ben")] == "reject"


def test_an_entry_that_makes_the_server_fail_is_set_aside_and_holds_nobody_up(
    review: ReviewMap, ground: Ground
) -> None:
    def fail_on_reject(route: Route) -> None:
        if '"reject"' in (route.request.post_data or ""):
            route.fulfill(status=500, body="Internal Server Error")
        else:
            route.continue_()

    review.page.route("**/api/review/outbox", fail_on_reject)
    review.press("a", "x", "s", "a")
    review.find(".maploop-banner", has_text="1 entry set aside, the rest is saved").wait_for()
    review.until(lambda: review.data["unsaved"] == "1", "the others to be saved")
    assert ground.verdicts() == ["accept", "unsure", "accept"]
    assert "1 not saved" in review.text(".maploop-save")
    review.until(lambda: review.data["decided"] == "3", "the tile as the server has it")
    review.page.reload()
    review.await_tile()
    assert "1 not saved" in review.text(".maploop-save")
    review.page.unroute("**/api/review/outbox")
    review.press("u")
    review.find("dialog button", has_text="Try again").click()
    review.until_saved()
    assert ground.verdicts() == ["accept", "unsure", "accept", "reject"]
