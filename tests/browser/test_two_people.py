"""Two people at work in two tabs of one browser, who load the page again after everything they do."""

from typing import Any

from playwright.sync_api import Page
from sqlalchemy import select

from db.conditions import undecided
from db.models import Annotator, Decision, Feature, Tile, TileFeature
from tests.browser.annotators import pick, until_named
from tests.browser.conftest import AppServer, Record
from tests.browser.review_ground import Ground, lay
from tests.browser.review_map import ReviewMap


class Person:
    """Somebody's tab: after every act it is loaded again, and shows the same name, tile and decisions."""

    def __init__(self, page: Page, server: AppServer, name: str) -> None:
        self.name = name
        self.review = ReviewMap(page, server.url)
        self.review.page.goto(f"{server.url}/import")
        pick(page, name)
        self.review.open("?order=place")

    @property
    def tile(self) -> str:
        return self.review.data["tile"]

    @property
    def decided(self) -> int:
        return self.review.number("decided")

    def do(self, *keys: str) -> str:
        """Press keys -> what the map said to it, once all is saved and the page was loaded again."""
        self.review.press(*keys)
        self.review.page.wait_for_timeout(50)
        return self.again()

    def finish(self) -> str:
        """Say that the tile is done -> the tile that came next."""
        before = self.tile
        self.review.finish()
        self.review.until_next(before)
        self.again()
        return self.tile

    def undo_into(self, tile: str) -> str:
        """Undo what leads to another tile -> what the map said."""
        self.review.press("Backspace")
        self.review.until_tile(tile)
        self.review.find(".maploop-notice", has_text="Undone").wait_for()
        return self.again()

    def again(self) -> str:
        """Load the page again: nothing of it may have changed."""
        self.review.until_saved()
        said = self.review.text(".maploop-notices")
        before = {name: self.review.data[name] for name in ("tile", "decided", "total")}
        self.review.page.reload()
        self.review.await_tile()
        self.review.until(
            lambda: {name: self.review.data.get(name) for name in before} == before, f"{before} after loading again"
        )
        until_named(self.review.page, self.name)
        return said


def standing(ground: Ground) -> dict[str, list[str]]:
    """Who decided what, in the order of storing."""
    with ground.database.read() as connection:
        rows = connection.execute(
            select(Annotator.name, Decision.verdict)
            .join(Annotator, Annotator.id == Decision.annotator_id)
            .order_by(Decision.seq)
        ).all()
    found: dict[str, list[str]] = {}
    for name, verdict in rows:
        found.setdefault(name, []).append(verdict)
    return found


def open_on_finished(ground: Ground) -> list[Any]:
    """Undecided features on finished tiles."""
    with ground.database.read() as connection:
        query = (
            select(Feature.id)
            .join(TileFeature, TileFeature.feature_id == Feature.id)
            .join(Tile, Tile.id == TileFeature.tile_id)
            .where(Tile.status.in_(("complete", "approved")), undecided())
        )
        return list(connection.execute(query))


def test_names_tiles_and_undo_are_right_throughout(app_server: AppServer, page: Page, record: Record) -> None:
    ground = lay(app_server.data, tiles=4, features=2)
    ben = Person(page.context.new_page(), app_server, "ben")
    carla = Person(page, app_server, "carla")
    first, second = ben.tile, carla.tile
    assert first != second

    ben.do("a")
    carla.do("x")
    assert (ben.decided, carla.decided) == (1, 1)
    assert "undecided again" in ben.do("Backspace")
    assert (ben.decided, carla.decided) == (0, 1)
    ben.do("a", "s")
    third = ben.finish()
    assert third not in (first, second)
    assert carla.tile == second

    assert f"tile {first} is open again" in ben.undo_into(first)
    assert ground.statuses()[0] == "open"
    assert "undecided again" in ben.do("Backspace")
    assert ben.decided == 1
    ben.do("x")
    ben.finish()

    carla.do("a")
    fourth = carla.finish()
    carla.do("a")
    carla.review.press("g")
    carla.review.find("dialog input").fill(first)
    carla.review.press("Enter")
    carla.review.until_tile(first)
    carla.again()
    assert f"complete by {ben.name}" in carla.review.text(".maploop-chips")
    carla.do("ArrowRight", "x", "x")  # what somebody else decided takes a second press
    assert carla.review.find(".maploop-chip.is-complete").count() == 0
    assert "accepted again" in carla.do("Backspace")
    assert "undecided again" in carla.undo_into(fourth)
    assert f"tile {second} is open again" in carla.undo_into(second)

    assert standing(ground) == {
        "ben": ["accept", "undo", "accept", "unsure", "undo", "reject"],
        "carla": ["reject", "accept", "accept", "reject", "undo", "undo"],
    }
    assert open_on_finished(ground) == []
    assert record.page_errors == []
