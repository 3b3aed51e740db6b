"""Names and properties that would be markup: on every page they are text, and nothing they name is asked for."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert, select, update

from db.models import Dataset, Imagery, Model, Tile, TileFeature
from maploop.quality.audits import finish_audit
from tests.browser.conftest import AppServer, Record, until_at_rest
from tests.browser.review_ground import Ground, lay
from tests.browser.review_map import ReviewMap
from tests.builders import a_decision, a_person, a_sample, let_names_change

HOSTILE = "<img src=x onerror=window.owned=1>"
MARKDOWN = "![x](http://evil.example/x.png) [click](javascript:window.owned=1)"
PARTS = ("Quality", "Map", "Money", "Thresholds", "Promotion", "Rounds", "Report")
PAGES = ("", "import", "review", "quality", "dataset", "models", *(f"compare?view={part}" for part in PARTS))


@pytest.fixture
def ground(app_server: AppServer) -> Ground:
    """A project whose every text is hostile: a tile that was returned, people, a spot check, a model, a dataset."""
    ground = lay(
        app_server.data,
        tiles=4,
        features=2,
        name=f"{HOSTILE} {MARKDOWN}"[:99],
        classes=[(HOSTILE, "polygon"), (MARKDOWN, "line")],
        class_names=(HOSTILE, MARKDOWN),
        attribution=f"{HOSTILE} {MARKDOWN}",
        properties={HOSTILE: MARKDOWN, "note": HOSTILE},
    )
    with ground.database.write() as connection:
        anna, worker, other = (a_person(connection, name) for name in ("anna", HOSTILE, MARKDOWN))
        let_names_change(connection, "model")
        connection.execute(update(Model).values(name=f"{HOSTILE} {MARKDOWN}"[:99]))
        connection.execute(update(Imagery).values(licence=HOSTILE))
        tiles = {"total": 1, "train": 1, "validation": 0, "test": 0}
        manifest = {"project": HOSTILE, "card": MARKDOWN, "tiles": tiles, "scope": MARKDOWN, "created_by": HOSTILE}
        connection.execute(update(Tile).values(split="test"))
        connection.execute(
            insert(Dataset).values(id="f" * 64, project_id=ground.project.id, created_by=worker, manifest=manifest)
        )
        checked = ground.tiles[-1]
        _, (audit,) = a_sample(connection, ground.project, anna, {checked: worker})
        for feature in connection.execute(
            select(TileFeature.feature_id).where(TileFeature.tile_id == checked.id)
        ).scalars():
            a_decision(connection, ground.project, checked, feature, "accept", worker)
            a_decision(connection, ground.project, checked, feature, "reject", anna, audit=audit)
        finish_audit(connection, audit)
        connection.execute(update(Tile).where(Tile.id == checked.id).values(status="complete", finished_by=worker))
        returned = update(Tile).where(Tile.id == ground.tiles[-2].id)
        connection.execute(returned.values(status="returned", finished_by=other, comment=f"{HOSTILE} {MARKDOWN}"))
    return ground


def nothing_ran(page: Page) -> None:
    """Wait for the page to be whole, then look into each of its frames. Raises AssertionError."""
    expect(page.locator(".st-key-heading")).to_be_visible()
    until_at_rest(page)
    assert page.locator("[data-testid=stException]").count() == 0
    for frame in page.frames:
        assert frame.evaluate("() => window.owned") is None
        assert frame.locator("img[src='x'], img[src*='evil'], a[href^='javascript:']").count() == 0


def test_hostile_text_never_runs_and_fetches_nothing(
    app_server: AppServer, ground: Ground, page: Page, record: Record
) -> None:
    review = ReviewMap(page, app_server.url).open("?order=place")
    first = review.data["tile"]
    review.press("a", "x", "?")
    review.press("Escape")
    review.until_no_dialog()
    review.finish()
    review.until_next(first)
    review.until_saved()
    for name in PAGES:
        page.goto(f"{app_server.url}/{name}")
        nothing_ran(page)
    assert record.page_errors == []


def test_hostile_addresses_are_text(app_server: AppServer, ground: Ground, page: Page, record: Record) -> None:
    for text in (HOSTILE, MARKDOWN, "');alert(1);//", "{{7*7}}", "${7*7}"):
        query = urlencode(dict.fromkeys(("tile", "class", "status", "order", "audit", "min_score", "project"), text))
        page.goto(f"{app_server.url}/review?{query}")
        nothing_ran(page)
        review = ReviewMap(page, app_server.url)
        review.await_map()
        review.find(".maploop-stage h2", has_text="Tile").wait_for()
        nothing_ran(page)
        assert "49" not in review.text(".maploop-stage")
    assert record.page_errors == []


def test_hostile_files_are_told_of_as_text(
    app_server: AppServer, ground: Ground, page: Page, record: Record, tmp_path: Path
) -> None:
    rows = [
        {"type": "Feature", "geometry": None, "properties": {"class": HOSTILE}},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [0, 0]}, "properties": {"class": MARKDOWN}},
        {"type": "Feature", "geometry": {"type": HOSTILE, "coordinates": [0, 0]}, "properties": {"class": HOSTILE}},
    ]
    path = tmp_path / f"{MARKDOWN.replace('/', ':')} {HOSTILE}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
    page.goto(f"{app_server.url}/import")
    until_at_rest(page)
    page.get_by_role("tab", name="Predictions").click()
    page.locator(".st-key-predictions_file input[type=file]").set_input_files(path)
    expect(page.locator(".st-key-predictions_file").get_by_text(".geojson")).to_be_visible()
    page.locator(".st-key-predictions_model input").fill(HOSTILE)
    until_at_rest(page)
    page.locator(".st-key-import_predictions button").click()
    page.get_by_text("Nothing was imported").wait_for()
    nothing_ran(page)
    assert record.page_errors == []
