"""Tiles through batches as their number grows: time and memory of making, uploading and collecting.

At the strict server of the tests on the loopback address, which takes a step with a batch each time it is looked at,
and is looked at without waiting. Each row is of a fresh process; the server is another one. Memory is the most that
process ever held, over what it held when the run began. `python -m bench.batches [TILES ...]`
"""

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from bench.chat import FIRST, Fields, megabytes, serve
from maploop.database import open_database
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import ensure_tiles
from maploop.predict.batch.opening import open_batch
from maploop.predict.batch.records import batches_of
from maploop.predict.chat.pace import RealClock
from maploop.predict.choosing import TileChoice
from maploop.predict.models import add_model
from maploop.predict.run import RunProgress, predict_tiles
from maploop.project import create_project
from maploop.settings import get_settings
from tests.builders import some_imagery
from tests.vendor import KEY

COUNTS = (500, 2_000, 4_000)
MAY_GROW = 60.0  # megabytes, from the fewest tiles to the most


class Impatient(RealClock):
    """Waits for nothing."""

    def wait(self, seconds: float, halt: threading.Event) -> None:
        halt.wait(0.005)

    def now(self) -> float:
        return time.monotonic() * 1000


def main() -> None:
    """Print a row for each number of tiles; exit 1 when memory grows, or tiles or costs are not the server's."""
    counts = [int(each.replace(",", "")) for each in sys.argv[1:]] or COUNTS
    head = ("tiles", "files", "MB sent", "s to submit", "s to collect", "tiles/s", "MB more", "USD", "the server's")
    print("".join(f"{each:>14}" for each in head))
    held, least = True, 0.0
    for tiles in counts:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            found = pool.submit(measure, tiles).result()
        least = least or found["more"]
        rate = tiles / (found["submitting"] + found["collecting"])
        cells = (
            f"{tiles:,}", f"{found['files']:.0f}", f"{found['sent']:.0f}", f"{found['submitting']:.1f}",
            f"{found['collecting']:.1f}", f"{rate:.0f}", f"{found['more']:.0f}", f"{found['cost']:.6f}",
            f"{found['billed']:.6f}",
        )  # fmt: skip
        print("".join(f"{each:>14}" for each in cells), flush=True)
        exact = abs(found["cost"] - found["billed"]) < 1e-9 and found["asked"] == found["done"] == tiles
        held = held and exact and found["more"] <= least + MAY_GROW
    sys.exit(0 if held else 1)


def measure(tiles: int) -> dict[str, float]:
    """Seconds, files, megabytes, and what run and server say of tiles and cost."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="maploop-batches-") as folder:
        os.environ.update({"MAPLOOP_DATA": folder, "MAPLOOP_KEY_BENCH": KEY})
        os.environ.pop("MAPLOOP_DATABASE_URL", None)
        get_settings.cache_clear()
        server = context.Process(target=serve, args=(theirs, 0.0), daemon=True)
        server.start()
        try:
            found = _run(ours.recv(), tiles)
            ours.send("the bill, please")
            return {**found, **ours.recv()}
        finally:
            server.terminate()
            server.join()


def _run(url: str, tiles: int) -> dict[str, float]:
    database = open_database()
    side = int(np.ceil(np.sqrt(tiles)))
    square = [Tile(FIRST.z, FIRST.x + place % side, FIRST.y + place // side) for place in range(tiles)]
    with database.write() as connection:
        project = create_project(connection, "town", [("building", "polygon")], zoom=FIRST.z, seed="bench")
        ensure_tiles(connection, project, square, some_imagery(connection, project))
        parameters = {"base_url": url, "key": "MAPLOOP_KEY_BENCH"}
        model = add_model(connection, project, "eyes", "chat", identifier="gpt-4o", parameters=parameters)
    fields = Fields()
    predictor = open_batch(project, model, {"batch": True}, database=database, clock=Impatient())
    submitted: list[float] = []

    def hear(_: RunProgress) -> None:
        if not submitted:
            submitted.append(time.perf_counter())

    before = megabytes("VmRSS")
    started = time.perf_counter()
    asked = {"batch": True}
    run = predict_tiles(
        database, project, model, predictor, TileChoice("all"), parameters=asked, hear=hear, sources=lambda _: fields
    ).run
    ended = time.perf_counter()
    assert run is not None
    with database.read() as connection:
        batches = batches_of(connection, run.id)
    return {
        "files": len(batches),
        "sent": sum(each.size for each in batches) / 1e6,
        "submitting": submitted[0] - started,
        "collecting": ended - submitted[0],
        "more": megabytes("VmHWM") - before,
        "done": run.done,
        "cost": run.usage.cost or 0.0,
    }


if __name__ == "__main__":
    main()
