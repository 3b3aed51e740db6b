"""Whenever the process of a batch run is killed, the next one goes on: every tile is answered, and paid for once."""

import contextlib
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from maploop.predict.batch.files import Limits
from tests.commands import said
from tests.predict.batch.ground import Life, World
from tests.predict.ground import TILES, Killed
from tests.tune.ground import painted_files
from tests.vendor import HANG_AFTER, KEY, Vendor

MAPLOOP = "from maploop.cli import main; main()"


def test_killed_at_any_point_and_taken_up_again(world: World) -> None:
    world.limits = Limits(requests=4)
    world.vendor.moves_by_itself = False
    world.clock.always = lambda: world.vendor.advance(4)
    deaths = 0
    for steps in itertools.count(step=1 if world.database.is_sqlite else 4):
        world.vendor.bill.charges.clear()
        try:
            run = world.predict(Life(steps), again=True)
        except Killed:
            deaths += 1
            world.bury()
            left = world.last_run()
            if left is None or left.status == "finished":  # killed before the run was begun, or when all was done
                continue
            run = world.resume(left.id)
        else:
            break
        assert (run.status, run.done, run.pending) == ("finished", TILES, 0)
        assert len(world.vendor.bill.charges) == TILES
        world.assert_paid_once(run)
        assert all(each.status in ("collected", "dropped") for each in world.batches(run))
        assert not world.vendor.files
    assert deaths > (50 if world.database.is_sqlite else 12)
    assert not list(world.batches_folder.glob("*"))


@pytest.mark.parametrize("steps", [18, 23, 31])
def test_killed_again_and_again(world: World, steps: int) -> None:
    with pytest.raises(Killed):
        world.predict(Life(steps))
    lives = 1
    while True:
        world.bury()
        left = world.last_run()
        assert left is not None
        try:
            run = world.resume(left.id, Life(steps))
            break
        except Killed:
            lives += 1
            assert lives < 50
    assert lives > 2
    assert (run.status, run.done) == ("finished", TILES)
    world.assert_paid_once(run)
    assert len(world.vendor.bill.charges) == TILES


def test_after_kill_minus_nine_the_next_process_collects(
    sqlite_url: str,
    tmp_path: Path,
    vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TOWN_KEY", KEY)
    imagery, _ = painted_files(tmp_path, 4)
    server = ("--backend", "chat", "--identifier", "gpt-4o", "--base-url", vendor.url, "--key", "TOWN_KEY")
    said(capsys, "project", "create", "Town", "--class", "building:polygon", "--zoom", "19")
    said(capsys, "import", "imagery", "Town", str(imagery))
    said(capsys, "model", "add", "Town", "eyes", *server)
    predict = ("predict", "Town", "--model", "eyes", "--yes")
    vendor.faults.on_route("POST /v1/batches", HANG_AFTER)
    process = subprocess.Popen([sys.executable, "-c", MAPLOOP, *predict, "--batch", "--db", sqlite_url])
    while not vendor.batches:
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"It ended by itself: {process.wait(0.05)}.")
    process.kill()
    process.wait()
    vendor.advance(4)
    done = said(capsys, *predict, "--resume", "--no-wait")
    assert (done["status"], done["predicted"]) == ("finished", 4)
    assert len(vendor.batches) == 1
    assert len(vendor.bill.charges) == 4
