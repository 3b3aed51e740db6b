"""Kill -9 of the app while a chat model is asked: `python -m bench.kill_run [--rounds 10] [--tiles 200]`.

A run over so many tiles is begun as from the Models page, at the strict server of the tests on the loopback address.
Every round kills the app while answers are on their way, and starts it again at once; in the end the run has to be
finished, with no tile asked about twice and the costs that the server charged.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.server import start
from maploop.database import Database, open_database
from maploop.imagery.register import register_imagery
from maploop.predict.choosing import TileChoice
from maploop.predict.history import RunView
from maploop.predict.models import add_model
from maploop.prices import load_prices
from maploop.project import ProjectView, create_project
from maploop.settings import hand_down_secrets
from maploop.work.runs import begin
from tests.predict.ground import only_run
from tests.tune.ground import painted_files
from tests.vendor import KEY, Vendor

KEY_NAME = "MAPLOOP_KEY_BENCH"
CONCURRENCY = 8
LATENCY = 1.0  # seconds until the server answers
PATIENCE = 120  # seconds for the app to get anywhere


@dataclass(frozen=True)
class Outcome:
    """What the run came to, and what the server says of it.

    on_their_way    questions that had no answer yet when their app was killed
    twice           tiles that it was asked about more than once
    cost, charged   in USD
    """

    run: RunView
    kills: int
    on_their_way: int
    twice: int
    cost: float
    charged: float


def run(rounds: int, tiles: int, *, latency: float = LATENCY, seed: int = 1) -> Outcome:
    """All rounds, then the run to its end."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="maploop-kill-", ignore_cleanup_errors=True) as folder, Vendor() as vendor:
        vendor.latency = latency
        data = Path(folder)
        hand_down_secrets({KEY_NAME: KEY})
        database, project = prepare(data, vendor.url, tiles)
        settings = {"MAPLOOP_SAMPLE": "0", KEY_NAME: KEY}
        app = start(data, settings=settings)
        kills = on_their_way = 0
        try:
            while kills < rounds and _asks_again(vendor, database, project):
                time.sleep(draw.uniform(0, latency))
                wait_until(lambda: vendor.in_flight > 0 or _is_over(database, project))
                on_their_way += vendor.in_flight
                kills += 1
                app.kill()
                app = start(data, app.port, settings)
            wait_until(lambda: _is_over(database, project))
        finally:
            app.kill()
            hand_down_secrets({})
        found = only_run(database, project)
        database.close()
        charged = vendor.bill.cost(load_prices().price_of)
        return Outcome(found, kills, on_their_way, len(vendor.bill.twice()), found.usage.cost or 0.0, charged)


def prepare(data: Path, url: str, tiles: int) -> tuple[Database, ProjectView]:
    """A project with painted tiles, and a run of a chat model over them that the app is to carry out.

    The key of the server has to be among the secrets handed down.
    """
    imagery, _ = painted_files(data, tiles)
    database = open_database(f"sqlite:///{data / 'maploop.sqlite'}")
    with database.write() as connection:
        project = create_project(connection, "town", [("building", "polygon")], zoom=19, seed="bench")
        parameters = {"base_url": url, "key": KEY_NAME}
        model = add_model(connection, project, "eyes", "chat", identifier="gpt-4o", parameters=parameters)
    register_imagery(database, project, imagery)
    begin(database, project, model, TileChoice("all"), parameters={"concurrency": CONCURRENCY})
    return database, project


def _asks_again(vendor: Vendor, database: Database, project: ProjectView) -> bool:
    """Wait until more was answered than had been asked -> whether it was; False when the run is over."""
    asked = len(vendor.bill.charges) + vendor.in_flight
    wait_until(lambda: len(vendor.bill.charges) > asked or _is_over(database, project))
    return len(vendor.bill.charges) > asked


def _is_over(database: Database, project: ProjectView) -> bool:
    return only_run(database, project).status not in ("waiting", "running", "interrupted")


def wait_until(ready: Callable[[], bool]) -> None:
    """Look now and then whether it is so. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            msg = f"Nothing came of it in {PATIENCE} seconds."
            raise TimeoutError(msg)
        time.sleep(0.05)


def main() -> None:
    """Print what became of the run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--tiles", type=int, default=200)
    options = parser.parse_args()
    outcome = run(options.rounds, options.tiles)
    print(f"{outcome.kills} kills of the app, {outcome.on_their_way} answers on their way")
    print(f"run {outcome.run.status}: {outcome.run.done} of {outcome.run.tiles} tiles predicted")
    print(f"asked about twice {outcome.twice}, cost {outcome.cost:.6f} USD, charged {outcome.charged:.6f} USD")


if __name__ == "__main__":
    main()
