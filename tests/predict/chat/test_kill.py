"""A run of a chat model that is killed goes on where it was: only what was on its way at that moment is asked again."""

import multiprocessing
import os
import signal

from db.engine import connect
from maploop.predict.chat.opening import open_chat
from maploop.predict.history import last_unfinished
from maploop.predict.models import load_model
from maploop.predict.run import RunProgress, predict_tiles
from maploop.project import load_project
from tests.predict.chat.conftest import SPLITS
from tests.predict.chat.ground import ALL, Town
from tests.tune.ground import Painted

KILLED_AFTER = 3


def _die_in_the_middle(url: str) -> None:
    def die(now: RunProgress) -> None:
        if now.done >= KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)

    database = connect(url)
    with database.read() as connection:
        project = load_project(connection, "Town")
        model = load_model(connection, project, "eyes")
    predictor = open_chat(project, model, {"concurrency": 2})
    painted = Painted()
    predict_tiles(database, project, model, predictor, ALL, hear=die, sources=lambda _: painted)


def test_a_killed_run_goes_on_and_pays_again_only_for_what_was_on_its_way(painted: Town, sqlite_url: str) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_in_the_middle, args=(sqlite_url,))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    with painted.ground.database.read() as connection:
        left = last_unfinished(connection, painted.ground.project, painted.model)
    assert (left.status, left.failed) == ("interrupted", 0)
    assert KILLED_AFTER <= left.done < len(SPLITS)
    run = painted.resume(left, concurrency=2)
    assert (run.status, run.done, run.features) == ("finished", len(SPLITS), len(SPLITS) * 16)
    again = painted.vendor.bill.twice()
    assert len(again) <= 4  # two asked about, and two answered and not yet stored
    assert set(again.values()) <= {2}
