"""Tiles a second and memory of the chat predictor as concurrency grows: `python -m bench.chat [TILES] [LATENCY]`.

2,000 tiles unless told otherwise, at the strict server of the tests on the loopback address, which answers after so
many seconds (0.1 unless told) with twelve buildings a tile. Each figure is of a fresh process that makes pictures,
asks, reads answers and stores them; the server is another one. Memory is what that process holds after a tenth of the
tiles and after all of them; what it may grow by is the database's page cache, which ends at 64 MB.
"""

import multiprocessing
import os
import random
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from maploop.database import open_database
from maploop.imagery.info import SourceInfo
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import ensure_tiles
from maploop.predict.chat.opening import open_chat
from maploop.predict.choosing import TileChoice
from maploop.predict.models import add_model
from maploop.predict.run import RunProgress, predict_tiles
from maploop.prices import load_prices
from maploop.project import create_project
from maploop.settings import get_settings
from tests.builders import some_imagery
from tests.vendor import KEY, Question, Vendor

CONCURRENCY = (1, 2, 4, 8, 16)
TILES, LATENCY = 2_000, 0.1
FEATURES = 12
FIRST = Tile(19, 309_600, 261_600)
MAY_GROW = 64  # MB, between a tenth of the tiles and all of them


class Fields:
    """Soft patches with some noise, another cut for each tile: as large a JPEG as aerial imagery is."""

    info = SourceInfo("geotiff", "/fields.tif", None, 0, 20)
    fingerprint = "fields"

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        patches = np.kron(rng.integers(40, 200, (64, 64, 3)), np.ones((32, 32, 1), dtype=np.int64))
        self._ground = np.full((2048, 2048, 4), 255, dtype=np.uint8)
        self._ground[..., :3] = np.clip(patches + rng.normal(0, 6, (2048, 2048, 1)), 0, 255)

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        left, top = (tile.x * 17) % (2048 - size), (tile.y * 23) % (2048 - size)
        return self._ground[top : top + size, left : left + size].copy()


def main() -> None:
    """Print a row for each concurrency; exit 1 when memory grows, a tile is lost, or the costs are not the server's."""
    tiles = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else TILES
    latency = float(sys.argv[2]) if len(sys.argv) > 2 else LATENCY
    print(f"{tiles:,} tiles, the server answers after {latency:g} s")
    head = ("at once", "tiles/s", "times", "MB after 10 %", "MB after all", "USD", "the server's")
    print("".join(f"{each:>15}" for each in head))
    held, alone = True, 0.0
    for concurrency in CONCURRENCY:
        measured = _in_fresh_process(tiles, latency, concurrency)
        alone = alone or measured["rate"]
        cells = (
            f"{concurrency}", f"{measured['rate']:.1f}", f"{measured['rate'] / alone:.1f}", f"{measured['early']:.0f}",
            f"{measured['late']:.0f}", f"{measured['cost']:.6f}", f"{measured['billed']:.6f}",
        )  # fmt: skip
        print("".join(f"{each:>15}" for each in cells), flush=True)
        exact = abs(measured["cost"] - measured["billed"]) < 1e-9 and measured["asked"] == measured["done"] == tiles
        held = held and exact and measured["late"] - measured["early"] <= MAY_GROW
    sys.exit(0 if held else 1)


def _in_fresh_process(tiles: int, latency: float, concurrency: int) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, tiles, latency, concurrency).result()


def measure(tiles: int, latency: float, concurrency: int) -> dict[str, float]:
    """Tiles a second, megabytes early and late, and what run and server say of tiles and cost."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="maploop-chat-") as folder:
        os.environ.update({"MAPLOOP_DATA": folder, "MAPLOOP_KEY_BENCH": KEY})
        os.environ.pop("MAPLOOP_DATABASE_URL", None)
        get_settings.cache_clear()
        server = context.Process(target=serve, args=(theirs, latency), daemon=True)
        server.start()
        try:
            found = _run(ours.recv(), tiles, concurrency)
            ours.send("the bill, please")
            return {**found, **ours.recv()}
        finally:
            server.terminate()
            server.join()


def _run(url: str, tiles: int, concurrency: int) -> dict[str, float]:
    database = open_database()
    side = int(np.ceil(np.sqrt(tiles)))
    row = [Tile(FIRST.z, FIRST.x + place % side, FIRST.y + place // side) for place in range(tiles)]
    with database.write() as connection:
        project = create_project(connection, "town", [("building", "polygon")], zoom=FIRST.z, seed="bench")
        ensure_tiles(connection, project, row, some_imagery(connection, project))
        parameters = {"base_url": url, "key": "MAPLOOP_KEY_BENCH"}
        model = add_model(connection, project, "eyes", "chat", identifier="gpt-4o", parameters=parameters)
    fields = Fields()
    predictor = open_chat(project, model, {"concurrency": concurrency})
    held: list[float] = []

    def hear(now: RunProgress) -> None:
        if not held and now.done >= tiles / 10:
            held.append(megabytes())

    started = time.perf_counter()
    run = predict_tiles(database, project, model, predictor, TileChoice("all"), hear=hear, sources=lambda _: fields).run
    seconds = time.perf_counter() - started
    assert run is not None
    return {
        "rate": run.done / seconds,
        "early": held[0],
        "late": megabytes(),
        "done": run.done,
        "cost": run.usage.cost or 0.0,
    }


def serve(pipe: Connection, latency: float) -> None:
    """The server, in a process of its own: says its address, and at the end what it charged."""
    with Vendor() as vendor:
        vendor.latency = latency
        vendor.brain = buildings
        pipe.send(vendor.url)
        pipe.recv()
        pipe.send({"billed": vendor.bill.cost(load_prices().price_of), "asked": len(vendor.bill.times())})
        pipe.recv()


def buildings(question: Question) -> str:
    """Some buildings, others for each picture."""
    draw = random.Random(question.picture)

    def building(place: int) -> dict[str, Any]:
        left, top = place % 4 * 240 + draw.randrange(60), place // 4 * 300 + draw.randrange(60)
        right, bottom = left + draw.randrange(60, 160), top + draw.randrange(60, 200)
        points = [[left, top], [right, top], [right, bottom], [left, bottom]]
        return {"class": "building", "geometry": "polygon", "points": points, "holes": []}

    return orjson.dumps({"features": [building(place) for place in range(FEATURES)]}).decode()


def megabytes(kind: str = "VmRSS") -> float:
    """What this process holds now; `VmHWM`: what it held at most."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    return int(status[status.index(f"{kind}:") + 1]) / 1024


if __name__ == "__main__":
    main()
