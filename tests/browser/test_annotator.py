"""Whose name a browser tab works under: it stays the tab's own, whatever happens to page, link and server."""

from urllib.parse import quote

from playwright.sync_api import Browser, Page, expect

from tests.browser.annotators import pick, until_named
from tests.browser.conftest import AppServer, Record, until_at_rest
from tests.browser.review_ground import lay
from tests.browser.review_map import ReviewMap

PAGES = ("", "import", "review", "quality", "dataset", "models", "compare")


def test_two_people_in_two_tabs_keep_their_names_over_reloads_links_and_a_restart(
    app_server: AppServer, page: Page, record: Record
) -> None:
    ground = lay(app_server.data, tiles=3, features=2)
    project = quote(ground.project.name)
    page.goto(app_server.url)
    until_named(page, "anna")
    other = page.context.new_page()
    other.goto(app_server.url)
    pick(other, "Åsa <b>& 'Co'")
    names = {page: "anna", other: "Åsa <b>& 'Co'"}

    for address in PAGES:
        other.goto(f"{app_server.url}/{address}?project={project}")
        until_named(other, names[other])
        assert quote(names[other]) not in other.url
    for each, name in names.items():
        each.reload()
        until_named(each, name)

    app_server.restart()
    for each, name in names.items():
        each.goto(f"{app_server.url}/quality")
        until_named(each, name)

    later = page.context.new_page()
    later.goto(f"{app_server.url}/dataset")
    until_named(later, names[other])  # the name picked last in this browser
    pick(later, "carl")
    other.reload()
    until_named(other, names[other])
    assert record.page_errors == []


def test_a_page_that_lost_its_server_works_on_under_its_own_name(app_server: AppServer, page: Page) -> None:
    lay(app_server.data, tiles=2, features=1)
    page.goto(app_server.url)
    pick(page, "berta")
    other = page.context.new_page()
    other.goto(app_server.url)
    pick(other, "carl")
    app_server.restart()
    until_at_rest(page)
    page.get_by_role("link", name="Dataset").click()  # within the page: nothing is loaded anew
    expect(page.get_by_role("heading", name="Dataset")).to_be_visible()
    until_named(page, "berta")


def test_a_link_names_nobody_in_another_browser(app_server: AppServer, page: Page, chromium: Browser) -> None:
    lay(app_server.data, tiles=2, features=1)
    page.goto(app_server.url)
    pick(page, "berta")
    elsewhere = chromium.new_context()
    opened = elsewhere.new_page()
    opened.goto(f"{page.url}&annotator=berta")
    until_named(opened, "anna")
    elsewhere.close()


def test_a_tile_is_still_ones_own_after_a_reload_and_the_way_over_another_page(
    app_server: AppServer, page: Page
) -> None:
    lay(app_server.data, tiles=1, features=2)
    page.goto(app_server.url)
    pick(page, "berta")
    review = ReviewMap(page, app_server.url).open()
    tile = review.data["tile"]
    review.press("a")
    review.until_saved()
    page.goto(f"{app_server.url}/quality")
    until_named(page, "berta")
    review.open()
    assert review.data["tile"] == tile
    page.reload()
    review.await_tile()
    assert review.data["tile"] == tile
    assert review.number("decided") == 1
