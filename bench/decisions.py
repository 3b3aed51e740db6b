"""Decisions stored through the real route: `python -m bench.decisions [--reviewers 1 8] [--tiles 300]`.

Prints how long one decision takes until the answer says it is on disk, how many are stored a second, and whether a tile
was handed out twice.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import func, select

from bench.reviewers import Reviewer
from bench.server import running
from db.engine import connect
from db.models import Decision
from db.upgrade import upgrade
from maploop.access import Grant, issue_token
from maploop.project import annotator_id
from tests.review.ground import lay_ground

Result = tuple[list[float], list[float], list[str], int]


def review_until_done(port: int, token: str, seconds: float, results: "multiprocessing.Queue[Result]") -> None:
    """One reviewer's work, in a process of its own."""
    reviewer = Reviewer(port, token)
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline and reviewer.review_tile():
        pass
    results.put((reviewer.decision_seconds, reviewer.open_seconds, reviewer.tiles, len(reviewer.acknowledged)))


def milliseconds(values: list[float]) -> str:
    """Median and 95th percentile."""
    ordered = sorted(values)
    return f"{statistics.median(ordered) * 1e3:7.1f} {ordered[int(len(ordered) * 0.95)] * 1e3:7.1f}"


def measure(reviewers: int, tiles: int, features: int, seconds: float) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        database = connect(f"sqlite:///{data / 'maploop.sqlite'}")
        upgrade(database)
        ground = lay_ground(database, tiles=tiles, features=features)
        with database.write() as connection:
            people = [annotator_id(connection, f"reviewer {number}") for number in range(reviewers)]
        tokens = [issue_token(Grant(person, ground.project.id), data) for person in people]
        results: multiprocessing.Queue[Result] = multiprocessing.Queue()
        with running(data) as app:
            started = time.perf_counter()
            clients = [
                multiprocessing.Process(target=review_until_done, args=(app.port, token, seconds, results))
                for token in tokens
            ]
            for client in clients:
                client.start()
            parts = [results.get() for _ in clients]
            elapsed = time.perf_counter() - started
            for client in clients:
                client.join()
        with database.read() as connection:
            stored = connection.execute(select(func.count()).select_from(Decision)).scalar_one()
        database.close()
    decisions = [value for part in parts for value in part[0]]
    opens = [value for part in parts for value in part[1]]
    handed = Counter(tile for part in parts for tile in part[2])
    twice = sum(count > 1 for count in handed.values())
    return (
        f"{reviewers:9d} {stored:9d} {stored / elapsed:9.0f} {milliseconds(decisions)}  {milliseconds(opens)}"
        f" {len(handed):6d} {twice:13d}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviewers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--tiles", type=int, default=300)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    print("Decisions through the app's own route, SQLite; milliseconds until the answer that they are on disk")
    print("reviewers decisions  a second  median     p95  open: median p95  tiles  handed twice")
    for reviewers in options.reviewers:
        print(measure(reviewers, options.tiles, options.features, options.seconds), flush=True)


if __name__ == "__main__":
    main()
