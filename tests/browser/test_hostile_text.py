"""Names and properties that would be markup: on every page they are text, and nothing they name is asked for."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert, update

from db.models import Annotator, Dataset, Imagery, Model, Tile
from tests.browser.conftest import AppServer, Record
from tests.browser.review_ground import Ground, lay
from tests.browser.review_map import ReviewMap

HOSTILE = "<img src=x onerror=window.owned=1>"
MARKDOWN = "![x](http://evil.example/x.png) [click](javascript:window.owned=1)"
PARTS = ("Quality", "Map", "Money", "Thresholds", "Promotion", "Rounds", "Report")
PAGES = ("", "import", "review", "quality", "dataset", *(f"compare?view={part}" for part in PARTS))


@pytest.fixture
def ground(app_server: AppServer) -> Ground:
    """A project whose every text is hostile, with a finished tile, people, a model and a dataset."""
    ground = lay(
        app_server.data,
        tiles=3,
        features=2,
        name=f"{HOSTILE} {MARKDOWN}"[:99],
        classes=[(HOSTILE, "polygon"), (MARKDOWN, "line")],
        class_names=(HOSTILE, MARKDOWN),
        attribution=f"{HOSTILE} {MARKDOWN}",
        properties={HOSTILE: MARKDOWN, "note": HOSTILE},
    )
    with ground.database.write() as connection:
        connection.execute(update(Model).values(name=f"{HOSTILE} {MARKDOWN}"[:99]))
        connection.execute(update(Imagery).values(licence=HOSTILE))
        connection.execute(update(Tile).values(split="test"))
        connection.execute(insert(Annotator).values(name=MARKDOWN))
        connection.execute(
            insert(Dataset).values(
                id="f" * 64, project_id=ground.project.id, created_by=1, manifest={"project": HOSTILE, "card": MARKDOWN}
            )
        )
    return ground


def test_hostile_text_never_runs_and_fetches_nothing(
    app_server: AppServer, ground: Ground, page: Page, record: Record
) -> None:
    review = ReviewMap(page, app_server.url).open("?order=place")
    review.press("a", "x", "?")
    review.press("Escape")
    review.finish()
    review.until(lambda: review.data["tile"] != str(ground.tiles[0].address), "the next tile")
    review.until_saved()
    for name in PAGES:
        page.goto(f"{app_server.url}/{name}")
        expect(page.locator(".st-key-heading")).to_be_visible(timeout=30_000)
        page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
        assert page.locator("[data-testid=stException]").count() == 0
        for frame in page.frames:
            assert frame.evaluate("() => window.owned") is None
            assert frame.locator("img[src='x'], a[href^='javascript:']").count() == 0
    assert record.page_errors == []
