"""What the map shows: text that stays text, narrow windows, verdicts that came in, spot checks, returned tiles."""

from pathlib import Path

import pytest
from playwright.sync_api import Page
from sqlalchemy import insert, select, update

from db.models import AuditSample, Feature, Prediction, Tile, TileFeature
from maploop.project import annotator_id
from tests.browser.conftest import AppServer, Record
from tests.browser.review_ground import lay
from tests.browser.review_map import ReviewMap
from tests.builders import a_claim, a_decision, a_run, a_sample

EVIL = "<img src=x onerror=\"window.top.hacked=1;window.hacked=1\">'</script><script>hacked=1</script>{{'x'}}\u2028_a1"


def test_names_and_properties_stay_text(app_server: AppServer, page: Page, record: Record) -> None:
    name = EVIL.replace("\u2028", "")[:100]
    classes = ((name, "polygon"), ("road", "line"))
    ground = lay(app_server.data, tiles=1, features=2, classes=classes, attribution=EVIL, properties={EVIL: EVIL})
    with ground.database.write() as connection:
        connection.execute(update(Tile).values(comment=EVIL, status="returned"))
    review = ReviewMap(page, app_server.url).open()
    assert review.text(".maploop-class") == name
    assert EVIL[:40] in review.text(".maploop-facts")
    assert EVIL[:40] in review.text(".maploop-banner")
    assert review.text(".maploop-credit").startswith("<img src=x")
    review.press("a", "e")
    review.press("Escape", "f")
    review.press("Escape", "n")
    review.press("Escape", "x", "u")
    assert page.evaluate("() => window.hacked === undefined")
    assert review.frame.evaluate("() => window.hacked === undefined")
    assert record.page_errors == []


def test_a_narrow_window_holds_everything(app_server: AppServer, page: Page) -> None:
    lay(app_server.data, tiles=1, features=3)
    page.set_viewport_size({"width": 420, "height": 760})
    review = ReviewMap(page, app_server.url).open()
    frame = page.locator(".st-key-review_map iframe").bounding_box()
    assert frame is not None
    assert frame["y"] + frame["height"] <= 760
    for selector in (
        ".maploop-save",
        ".maploop-count",
        "[data-command=done]",
        "[data-command=accept]",
        ".maploop-help",
    ):
        box = review.box(selector)
        assert frame["x"] <= box["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 1

    def is_clear() -> bool:
        top, bottom = review.box(".maploop-top"), review.box(".maploop-buttons")
        tile = review.box(".leaflet-maploop-frame-pane path")
        return bool(tile["y"] >= top["y"] + top["height"] - 2 and tile["y"] + tile["height"] <= bottom["y"] + 2)

    review.until(is_clear, "the tile to lie between what stands above and below")


def test_what_another_person_decided_is_locked_until_overruled(app_server: AppServer, page: Page) -> None:
    ground = lay(app_server.data, tiles=1, features=2)
    with ground.database.write() as connection:
        ben = annotator_id(connection, "ben")
        first = connection.execute(Prediction.__table__.select().order_by(Prediction.score)).mappings().first()
        assert first is not None
        a_decision(connection, ground.project, ground.tiles[0], first["feature_id"], "accept", ben)
    review = ReviewMap(page, app_server.url).open()
    assert review.data["index"] == "2"
    review.press("ArrowLeft")
    assert "decided by ben" in review.text(".maploop-marks")
    review.press("x")
    assert "ben decided this" in review.text(".maploop-notices")
    review.until_saved()
    assert len(ground.decisions()) == 1
    review.press("x")
    review.until_saved()
    assert ground.verdicts() == ["accept", "reject"]


def test_a_remembered_reject_comes_decided_and_marked(app_server: AppServer, page: Page) -> None:
    ground = lay(app_server.data, tiles=1, features=2)
    with ground.database.write() as connection:
        anna = annotator_id(connection, "anna")
        first = connection.execute(Prediction.__table__.select().order_by(Prediction.score)).mappings().first()
        assert first is not None
        a_decision(connection, ground.project, ground.tiles[0], first["feature_id"], "reject", anna)
        newer = {**first, "id": None, "run_id": a_run(connection, ground.project, "newer"), "remembered": "reject"}
        prediction = connection.execute(insert(Prediction).values(newer).returning(Prediction.id)).scalar_one()
        moved = update(Feature).where(Feature.id == first["feature_id"]).values(prediction_id=prediction)
        connection.execute(moved)
    review = ReviewMap(page, app_server.url).open()
    assert review.data["decided"] == "1"
    review.press("ArrowLeft")
    assert "remembered: rejected before" in review.text(".maploop-marks")


def test_a_spot_check_is_blind_and_counts(app_server: AppServer, page: Page) -> None:
    ground = lay(app_server.data, tiles=2, features=2)
    with ground.database.write() as connection:
        ben, anna = annotator_id(connection, "ben"), annotator_id(connection, "anna")
        for tile in ground.tiles:
            for row in connection.execute(Prediction.__table__.select()).mappings():
                if tile is ground.tiles[0] and row["source_row"] <= 2:
                    a_decision(connection, ground.project, tile, row["feature_id"], "reject", ben)
            connection.execute(update(Tile).where(Tile.id == tile.id).values(status="complete", finished_by=ben))
        sample, _ = a_sample(connection, ground.project, anna, dict.fromkeys(ground.tiles, ben))
        assert connection.execute(AuditSample.__table__.select()).first() is not None
    review = ReviewMap(page, app_server.url).open(f"?audit={sample}")
    assert "Spot check 1 of 2" in review.text(".maploop-chips")
    assert review.data["decided"] == "0"
    first = review.data["tile"]
    review.press("a", "x")
    review.finish()
    review.until_next(first)
    assert "Spot check 2 of 2" in review.text(".maploop-chips")
    assert "2 of 2 tiles · 0 mine" in review.text(".maploop-figures")
    assert review.find(".is-question").count() == 0
    review.press("a", "a", "Backspace", "a")
    review.finish()
    review.find(".maploop-stage").wait_for()
    assert "The spot check is finished" in review.text(".maploop-stage")
    review.until_saved()
    assert [each["audit_id"] is not None for each in ground.decisions()].count(True) == 6
    review.find(".maploop-stage button", has_text="To the spot checks").click()
    page.get_by_role("heading", name="Quality").wait_for()
    assert "project=" in page.url


def test_a_decision_on_a_feature_across_the_border_is_known_on_the_next_tile(app_server: AppServer, page: Page) -> None:
    ground = lay(app_server.data, tiles=2, features=1)
    review = ReviewMap(page, app_server.url).open("?order=place")
    first = review.data["tile"]
    edge = 1.0 if first == str(ground.tiles[0]) else 0.0
    review.until_ahead()
    review.press("a", "n")
    for x, y in ((-0.04, 0.5), (0.04, 0.5), (0.04, 0.6), (-0.04, 0.6)):
        review.click(edge + x, y)
    review.press("Enter")
    review.until_saved()
    review.finish()
    review.until_next(first)
    assert review.data["total"] == "2"
    assert review.data["decided"] == "1"


def test_an_address_without_a_tile_is_said_to_be_one(app_server: AppServer, page: Page) -> None:
    lay(app_server.data, tiles=1, features=1)
    review = ReviewMap(page, app_server.url).open("?tile=19/1/1", wait=False)
    review.await_map()
    review.find(".maploop-stage h2", has_text="Tile 19/1/1").wait_for()
    review.press("Enter")
    review.await_tile()


def test_a_tile_held_by_somebody_else_is_said_to_be(app_server: AppServer, page: Page) -> None:
    ground = lay(app_server.data, tiles=2, features=1)
    held, free = ground.tiles
    with ground.database.write() as connection:
        a_claim(connection, held, annotator_id(connection, "ben"))
    review = ReviewMap(page, app_server.url).open(f"?tile={held}", wait=False)
    review.await_map()
    review.find(".maploop-stage", has_text=f"Tile {held} is held by ben at the moment.").wait_for()
    review.press("Enter")
    review.until_tile(free)


def test_looking_through_what_was_decided_shows_each_tile_once(app_server: AppServer, page: Page) -> None:
    ground = lay(app_server.data, tiles=3, features=2)
    with ground.database.write() as connection:
        anna = annotator_id(connection, "anna")
        for tile in ground.tiles:
            on_tile = select(TileFeature.feature_id).where(TileFeature.tile_id == tile.id).order_by("feature_id")
            rejected, accepted = connection.execute(on_tile).scalars()
            a_decision(connection, ground.project, tile, rejected, "reject", anna)
            a_decision(connection, ground.project, tile, accepted, "accept", anna)
            connection.execute(update(Tile).where(Tile.id == tile.id).values(status="complete", finished_by=anna))
    review = ReviewMap(page, app_server.url).open("?status=reject&order=place")
    for tile in ground.tiles:
        review.until_tile(tile)
        assert "rejected" in review.text(".maploop-marks")
        here = review.data["index"]
        review.press("ArrowRight")
        assert review.data["index"] == here  # the other one was accepted
        review.finish()
    review.find(".maploop-stage", has_text="You have looked at every free tile that fits the filter.").wait_for()
    assert ground.statuses() == ["complete"] * 3


def test_requests_never_leave_the_machine(app_server: AppServer, page: Page, record: Record) -> None:
    lay(app_server.data, tiles=2, features=2)
    review = ReviewMap(page, app_server.url).open()
    review.press("a", "e")
    review.press("Escape", "a")
    review.finish()
    review.until_saved()
    asked = {url.split("?")[0] for url in record.requests if "/assets/" in url or "/tiles/" in url}
    assert any(url.endswith("/assets/leaflet/leaflet.js") for url in asked)
    assert [url for url in record.foreign_requests if "fonts.gstatic" not in url] == []


@pytest.mark.parametrize("name", ["deck.js", "review.js", "review.css"])
def test_assets_are_served_from_the_package(app_server: AppServer, page: Page, name: str) -> None:
    answer = page.request.get(f"{app_server.url}/assets/review/{name}")
    assert answer.ok
    source = Path(__file__).parents[2] / "maploop" / "review" / "static" / name
    assert answer.text() == source.read_text(encoding="utf-8")
