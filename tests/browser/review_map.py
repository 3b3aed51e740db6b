"""The review map as a test handles it: keys go to the page, the rest is read from the map's frame."""

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Error, Frame, Locator, Page

WAIT_SECONDS = 60  # a busy machine is slow; what never comes fails all the same


class ReviewMap:
    """One open review page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self, query: str = "", *, wait: bool = True) -> "ReviewMap":
        """Go to the page; with `wait` until a tile is there to review."""
        self.page.goto(f"{self.url}/review{query}")
        if wait:
            self.await_tile()
        return self

    def await_map(self) -> None:
        """Wait until the map takes keys, with a tile or without."""
        self.page.locator(".st-key-review_map iframe").wait_for()
        self.until(lambda: "unsaved" in self.data, "the map")

    def await_tile(self) -> None:
        """Wait until a tile is shown and the map takes keys."""
        self.await_map()
        self.until(lambda: bool(self.data.get("tile")), "a tile")

    @property
    def frame(self) -> Frame:
        """The map's frame."""
        return next(each for each in self.page.frames if "st_folium" in each.url)

    @property
    def data(self) -> dict[str, str]:
        """`document.body.dataset` of the frame; empty while there is no frame, or none that stays."""
        frame = next((each for each in self.page.frames if "st_folium" in each.url), None)
        if frame is None:
            return {}
        try:
            found: dict[str, str] = frame.evaluate("() => ({...document.body.dataset})")
        except Error:  # the page is being left
            return {}
        return found

    def number(self, name: str) -> int:
        """A count out of `data`."""
        return int(self.data[name])

    def press(self, *keys: str) -> None:
        """Press keys one after another."""
        for key in keys:
            self.page.keyboard.press(key)

    def finish(self) -> None:
        """Say that the tile is done, as a person would: not in the very moment it came."""
        self.page.wait_for_timeout(400)
        self.press("Enter")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something to become true. Raises AssertionError."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not _holds(condition):
            assert time.monotonic() < deadline, f"waited in vain for {what}; the map says {self.data}"
            self.page.wait_for_timeout(20)

    def until_no_dialog(self) -> None:
        """Wait until the dialog has closed and keys mean the map again."""
        self.until(lambda: self.find("dialog").count() == 0, "the dialog to close")

    def until_saved(self) -> None:
        """Wait until the map says that all is on disk."""
        self.until(lambda: self.data.get("unsaved") == "0", "everything to be saved")

    def until_tile(self, address: object) -> None:
        """Wait until that tile is shown."""
        self.until(lambda: self.data.get("tile") == str(address), f"tile {address}")

    def until_next(self, before: str) -> None:
        """Wait until another tile is shown than the one before."""
        self.until(lambda: self.data.get("tile", "") not in ("", before), "the next tile")

    def until_ahead(self) -> None:
        """Wait until the next tile was fetched ahead."""
        self.until(lambda: self.data.get("ahead", "") not in ("", self.data.get("tile")), "the tile ahead")

    def find(self, selector: str, has_text: str | None = None) -> Locator:
        """Elements of the frame."""
        return self.frame.locator(selector, has_text=has_text)

    def text(self, selector: str) -> str:
        """What an element of the frame says."""
        return self.frame.locator(selector).inner_text()

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A place of the current tile, as shares from its west and its north, in pixels of the page."""
        inside = self.frame.evaluate(
            """([x, y]) => {
              const box = document.querySelector('.leaflet-maploop-frame-pane path').getBoundingClientRect();
              return [box.left + box.width * x, box.top + box.height * y];
            }""",
            [x, y],
        )
        frame = self.page.locator(".st-key-review_map iframe").bounding_box()
        assert frame is not None
        return frame["x"] + 1 + inside[0], frame["y"] + 1 + inside[1]

    def click(self, x: float, y: float) -> None:
        """Click on a place of the current tile."""
        self.page.mouse.click(*self.point(x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one place of the page to another, in pixels."""
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.page.mouse.move(*end)
        self.page.mouse.up()

    def box(self, selector: str, index: int = 0) -> dict[str, Any]:
        """An element's box in pixels of the page."""
        found = self.frame.locator(selector).nth(index).bounding_box()
        assert found is not None
        return {**found, "cx": found["x"] + found["width"] / 2, "cy": found["y"] + found["height"] / 2}


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (KeyError, StopIteration):  # there is no frame yet, or none any more
        return False
