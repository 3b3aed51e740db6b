"""From the start of the process to a usable first page in Chromium: `python -m bench.start [--runs 5]`.

The data folder holds 300 tiles with 9,000 features; usable means that the overview's next step is drawn.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.server import running
from maploop.database import open_database
from tests.review.ground import lay_ground

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
USABLE = ".st-key-next_step"


def main() -> None:
    """Print the median and the worst of a few starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    seconds = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        data = Path(folder)
        lay_ground(open_database(f"sqlite:///{data / 'maploop.sqlite'}"), tiles=300, features=30)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=CHROMIUM)
        for _ in range(options.runs):
            page = browser.new_page()
            started = time.perf_counter()
            with running(data) as app:
                page.goto(app.url)
                page.wait_for_selector(USABLE)
                seconds.append(time.perf_counter() - started)
            page.close()
        browser.close()
    print(f"First page usable after the start: median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s")


if __name__ == "__main__":
    main()
