"""The compare page in a browser: map and layers, gallery, plots and the report, from this machine alone."""

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from sqlalchemy import update

from db.models import Tile
from tests.browser.conftest import PATIENCE_MS, AppServer, Record
from tests.browser.review_ground import Ground, lay
from tests.builders import a_decision, a_person, a_prediction, feature_of, shape_on

EVIL = "<img src=x onerror=window.owned=1> {{7*7}}"
DRAWN = Path(__file__).with_name("drawn.js")


@pytest.fixture
def ground(app_server: AppServer) -> Ground:
    """Three finished test tiles with imagery; two models, one with a hostile name, and another class each time."""
    ground = lay(app_server.data, tiles=3, features=4, class_names=("building", "road", "well"))
    with ground.database.write() as connection:
        anna = a_person(connection, "anna")
        for tile in ground.tiles:
            for place in range(4):
                each = ground.project.classes[place % 3]
                geometry = shape_on(tile, place * 3, each.geometry_type)
                drawn = a_decision(
                    connection, ground.project, tile, None, "add", anna, class_name=each.name, geometry=geometry
                )
                assert feature_of(connection, drawn)
            a_prediction(connection, ground.project, tile, 0, model=EVIL, score=0.9)
            a_prediction(connection, ground.project, tile, 77, model=EVIL, score=0.4)
        connection.execute(update(Tile).values(split="test", status="complete"))
    return ground


def opened(page: Page, server: AppServer, view: str) -> Page:
    """The page with one of its parts open and nothing under way."""
    page.goto(f"{server.url}/compare?view={view}")
    expect(page.get_by_text("3 finished tiles")).to_be_visible(timeout=60_000)
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
    return page


def map_of(page: Page) -> FrameLocator:
    """The map's frame."""
    return page.frame_locator("iframe[title^='streamlit_folium']")


def tooltip(frame: FrameLocator) -> str:
    """What a feature says under the pointer, which stays on what is drawn until the map answers."""
    canvas = frame.locator(".leaflet-overlay-pane canvas").first
    said = frame.locator(".leaflet-tooltip").first
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline:
        for x, y in canvas.evaluate(DRAWN.read_text(encoding="utf-8")):
            canvas.hover(position={"x": x, "y": y}, force=True)
            with suppress(PlaywrightTimeoutError):  # a busy machine is asked again
                said.wait_for(timeout=1_000)
                return said.inner_text().strip()
    msg = "No feature said anything."
    raise TimeoutError(msg)


def loaded(page: Page, selector: str) -> list[bool]:
    """Of images, which have pixels."""
    found: list[bool] = page.locator(selector).evaluate_all("all => all.map(each => each.naturalWidth > 0)")
    return found


def test_the_map_shows_both_models_with_layers_to_switch_and_imagery_under_them(
    app_server: AppServer, ground: Ground, page: Page, record: Record
) -> None:
    frame = map_of(opened(page, app_server, "Map"))
    labels = frame.locator(".leaflet-control-layers-overlays label")
    expect(labels).to_have_count(7)
    expect(labels.nth(3)).to_contain_text(f"only found by {EVIL}")
    expect(frame.locator("img.leaflet-tile-loaded").first).to_be_visible()
    assert any("/tiles/" in each for each in record.requests)
    assert tooltip(frame).startswith(("building", "road", "well"))
    canvas = frame.locator(".leaflet-overlay-pane canvas").first
    shown = canvas.evaluate("each => each.toDataURL()")
    for place in range(1, 7):
        labels.nth(place).locator("input").uncheck()
    expect(labels.nth(1).locator("input")).not_to_be_checked()
    page.wait_for_function(
        "([before]) => [...document.querySelectorAll('iframe')].some(frame => {"
        " const found = frame.contentDocument?.querySelector('.leaflet-overlay-pane canvas');"
        " return found && found.toDataURL() !== before; })",
        arg=[shown],
    )
    assert page.evaluate("() => window.owned") is None
    assert record.page_errors == []


def test_pictures_of_the_worst_tiles_are_there_and_lead_into_review(
    app_server: AppServer, ground: Ground, page: Page
) -> None:
    opened(page, app_server, "Map")
    pictures = page.locator(".st-key-gallery img")
    expect(pictures).to_have_count(6)
    page.wait_for_function("() => [...document.querySelectorAll('.st-key-gallery img')].every(each => each.complete)")
    assert loaded(page, ".st-key-gallery img") == [True] * 6
    page.get_by_role("button", name=f"Review {ground.tiles[0]}").click()
    expect(page).to_have_url(re.compile(r"/review\?.*tile=19(%2F|/)"))


def test_a_plot_takes_the_colour_of_the_page(app_server: AppServer, ground: Ground, page: Page) -> None:
    opened(page, app_server, "Quality")
    plot = page.locator(".st-key-plot_by_class svg")
    expect(plot).to_be_visible()
    expect(plot.locator("text", has_text="building").first).to_be_visible()
    light = plot.locator("text").first.evaluate("each => getComputedStyle(each).fill")
    page.emulate_media(color_scheme="dark")
    page.reload()
    expect(plot).to_be_visible(timeout=60_000)
    assert plot.locator("text").first.evaluate("each => getComputedStyle(each).fill") != light


def test_the_report_is_one_file_that_asks_for_nothing(
    app_server: AppServer, ground: Ground, page: Page, chromium: Browser, tmp_path: Path
) -> None:
    opened(page, app_server, "Report")
    with page.expect_download() as started:
        page.locator(".st-key-report_html button").click()
    path = tmp_path / "report.html"
    started.value.save_as(path)
    asked: list[Any] = []
    context = chromium.new_context(offline=True)
    alone = context.new_page()
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(path.as_uri())
    expect(alone.locator("h1")).to_contain_text(EVIL)
    assert alone.evaluate("() => window.owned") is None
    assert all(loaded(alone, "img"))
    assert [each for each in asked if not each.startswith(("file:", "data:"))] == []
    context.close()
