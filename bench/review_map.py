"""The review map in Chromium: key to painted next feature, decision to durable answer, tile done to next tile painted.

A tile of 100 outlines of 16 corners, then tiles of 10. Key to painted runs from the key's time stamp to the first task
after the frame that holds the change; the answer's time is what the browser's network log says of POST /outbox.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.server import start
from tests.browser.review_ground import lay
from tests.browser.review_map import ReviewMap

FEATURES = 100
TILES = 12
CHROMIUM = ["--no-sandbox", "--disable-gpu"]

# Runs in every frame before its own scripts, so that it sees keys first. A key's change is painted with the next frame;
# a message posted in that frame's callback is handled right after the frame was handed over to be drawn.
WATCH = """(() => {
  window.painted = [];
  window.nextTiles = [];
  const afterPaint = (act) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = act;
    channel.port2.postMessage(null);
  });
  const imageryThere = () => {
    const frame = document.querySelector('.leaflet-maploop-frame-pane path').getBoundingClientRect();
    const tiles = [...document.querySelectorAll('.leaflet-tile-container img.leaflet-tile')];
    const [x, y] = [(frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2];
    return tiles.some((tile) => {
      const box = tile.getBoundingClientRect();
      return tile.complete && tile.naturalWidth && tile.classList.contains('leaflet-tile-loaded') &&
        box.left <= x && x <= box.right && box.top <= y && y <= box.bottom;
    });
  };
  window.addEventListener('keydown', (event) => {
    const begun = event.timeStamp;
    const before = document.body.dataset.tile;
    if (event.key !== 'Enter') {
      afterPaint(() => window.painted.push(performance.now() - begun));
      return;
    }
    const look = () => afterPaint(() => {
      if (document.body.dataset.tile !== before && imageryThere()) window.nextTiles.push(performance.now() - begun);
      else if (performance.now() - begun < 5000) look();
    });
    look();
  }, {capture: true});
})()"""
ANSWERS = """() => performance.getEntriesByType('resource').filter((each) => each.name.endsWith('/outbox'))
  .map((each) => each.responseEnd - each.startTime)"""
FRESH = """() => {
  window.painted.length = 0;
  performance.clearResourceTimings();
  performance.setResourceTimingBufferSize(4000);
}"""


def line(name: str, values: list[float], median: float, p95: float | None) -> str:
    """One row of the table, with what is aimed at."""
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    aim = f"<= {median:g}" + (f", {p95:g}" if p95 is not None else "")
    return f"{name:<38}{len(values):>5}{statistics.median(values):>10.1f}{high:>8.1f}{ordered[-1]:>8.1f}   {aim}"


def walk(review: ReviewMap, pause: int) -> None:
    """Decide every feature of the tile, one key after another as a quick person presses them."""
    left = review.number("total") - review.number("decided")
    for number in range(left):
        review.press("x" if number % 7 == 3 else "a")
        review.page.wait_for_timeout(pause)
    review.until_saved()


def measure(page: Page, url: str, first: str, pause: int) -> list[str]:
    """Walk the crowded tile, then the others; rows of the table."""
    page.add_init_script(WATCH)
    review = ReviewMap(page, url).open(f"?tile={first}&order=place")
    page.wait_for_timeout(1000)
    review.frame.evaluate(FRESH)
    walk(review, pause)
    keys, answers = review.frame.evaluate("() => window.painted"), review.frame.evaluate(ANSWERS)
    for _ in range(TILES - 2):
        before = review.data["tile"]
        review.finish()
        review.until(lambda before=before: review.data["tile"] not in ("", before), "the next tile")  # type: ignore[misc]
        walk(review, pause)
    nexts = review.frame.evaluate("() => window.nextTiles")
    return [
        line(f"key to painted, {FEATURES} features", keys, 17, 34),
        line("decision to durable answer", answers, 10, 25),
        line("tile done to next tile with imagery", nexts, 100, None),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pause", type=int, default=60, help="milliseconds between keys")
    pause = parser.parse_args().pause
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        app = start(data)
        try:
            ground = lay(data, tiles=TILES, features=[FEATURES, *[10] * (TILES - 1)], wobble=True)
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=executable, args=CHROMIUM)
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                rows = measure(page, app.url, str(ground.tiles[0]), pause)
                browser.close()
        finally:
            app.kill()
    print(f"{'milliseconds':<38}{'n':>5}{'median':>10}{'p95':>8}{'max':>8}   aim: median, p95")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
