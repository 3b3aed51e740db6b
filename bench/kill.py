"""Kill -9 at random moments under concurrent reviewers: `python -m bench.kill [--rounds 20] [--reviewers 8]`.

Every round starts the app, lets the reviewers work, kills the app without warning, starts it again and lets each send
what was not acknowledged. Counts what was acknowledged and is not there (lost) or is there twice (duplicated), and
verifies the store after every kill. Then acts of the command line are killed in their midst: see bench.kill_acts.
"""

import argparse
import http.client
import random
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from bench import kill_acts
from bench.reviewers import Reviewer
from bench.server import App, start
from db.engine import Database, connect
from db.models import Decision, TileEvent
from db.upgrade import upgrade
from maploop.access import Grant, issue_token
from maploop.project import annotator_id
from maploop.store.verify import verify_store
from tests.review.ground import Ground, lay_ground


@dataclass(frozen=True)
class Outcome:
    """What became of what the reviewers were told is on disk."""

    rounds: int
    acknowledged: int
    stored: int
    lost: int
    duplicated: int
    handed_twice: int
    unsound: int  # kills after which the store was not as it was stored


def work(reviewer: Reviewer, stop: threading.Event) -> None:
    """Review tiles until told to stop, there is nothing left, or the app is gone."""
    try:
        if reviewer.unsent:
            entries, reviewer.unsent = reviewer.unsent, []
            reviewer.acknowledged += reviewer.post("/api/review/outbox", {"entries": entries})["stored"]
        while not stop.is_set() and reviewer.review_tile():
            pass
    except (OSError, http.client.HTTPException):
        return


def one_round(app: App, reviewers: list[Reviewer], seconds: float) -> None:
    """Let everybody work for a while, then kill the app under them."""
    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(reviewer, stop)) for reviewer in reviewers]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    app.kill()
    stop.set()
    for thread in threads:
        thread.join()


def prepare(data: Path, reviewers: int, tiles: int) -> tuple[Database, Ground, list[str]]:
    """A project to review, and a token a reviewer."""
    database = connect(f"sqlite:///{data / 'maploop.sqlite'}")
    upgrade(database)
    ground = lay_ground(database, tiles=tiles, features=8)
    with database.write() as connection:
        people = [annotator_id(connection, f"reviewer {number}") for number in range(reviewers)]
    return database, ground, [issue_token(Grant(person, ground.project.id), data) for person in people]


def run(rounds: int, count: int, *, tiles: int = 2000, seed: int = 1) -> Outcome:
    """All rounds, then the count of what is on disk."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        database, _, tokens = prepare(data, count, tiles)
        app = start(data)
        reviewers = [Reviewer(app.port, token) for token in tokens]
        unsound = 0
        for _ in range(rounds):
            one_round(app, reviewers, draw.uniform(0.1, 1.5))
            unsound += not verify_store(database).is_sound
            app = start(data, app.port)
        stop = threading.Event()
        stop.set()
        for reviewer in reviewers:
            work(reviewer, stop)
        app.kill()
        with database.read() as connection:
            stored = [
                *connection.execute(select(Decision.id)).scalars(),
                *connection.execute(select(TileEvent.id)).scalars(),
            ]
            standing = connection.execute(
                select(Decision.feature_id).where(Decision.audit_id.is_(None), Decision.verdict != "undo")
            ).scalars()
            decided_twice = sum(times > 1 for times in Counter(standing).values())
        database.close()
    acknowledged = [entry for reviewer in reviewers for entry in reviewer.acknowledged]
    on_disk = Counter(stored)
    handed = Counter(tile for reviewer in reviewers for tile in set(reviewer.tiles))
    return Outcome(
        rounds=rounds,
        acknowledged=len(set(acknowledged)),
        stored=len(stored),
        lost=sum(on_disk[entry] == 0 for entry in set(acknowledged)),
        duplicated=sum(times > 1 for times in on_disk.values()) + decided_twice,
        handed_twice=sum(times > 1 for times in handed.values()),
        unsound=unsound,
    )


def main() -> None:
    """Print what became of the decisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--reviewers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=5, help="of each act of the command line")
    options = parser.parse_args()
    outcome = run(options.rounds, options.reviewers)
    print(f"{options.reviewers} reviewers, {outcome.rounds} kills at random moments")
    print(f"acknowledged {outcome.acknowledged}, on disk {outcome.stored}")
    print(f"lost {outcome.lost}, duplicated {outcome.duplicated}, tiles handed to two people {outcome.handed_twice}")
    print(f"kills after which the store was not sound: {outcome.unsound}")
    for act in kill_acts.run(options.kills):
        print(f"{act.act}: killed {act.kills} times, done before {act.finished} times; wrong: {len(act.wrong)}")
        for what in act.wrong:
            print(f"  {what}")


if __name__ == "__main__":
    main()
