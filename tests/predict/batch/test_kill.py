"""Whenever the process of a batch run is killed, the next one goes on: every tile is answered, and paid for once."""

import itertools

import pytest

from maploop.predict.batch.files import Limits
from tests.predict.batch.ground import Life, World
from tests.predict.ground import TILES, Killed


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
