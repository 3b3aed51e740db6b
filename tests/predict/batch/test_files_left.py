"""Files of batches at the server: none is left, whatever came between."""

import itertools

import pytest

from tests.predict.batch.ground import Life, World
from tests.predict.ground import Killed
from tests.vendor import server_error


def test_files_that_could_not_be_deleted_are_deleted_by_the_next_run(world: World) -> None:
    world.vendor.faults.on_route("DELETE /v1/files/{id}", server_error(403), 2)
    run = world.predict()
    assert run.status == "finished"
    assert not world.vendor.files  # asked again at the end of the run
    world.vendor.faults.on_route("DELETE /v1/files/{id}", server_error(403), None)
    run = world.predict(again=True)
    assert run.status == "finished"
    assert world.vendor.files
    assert all("may still be at the server" in each.error for each in world.batches(run))
    world.vendor.faults.clear()
    world.predict(again=True)
    assert not world.vendor.files
    assert all(each.error == "" for each in world.batches(run))


def test_a_file_whose_upload_nobody_noted_is_deleted_when_the_run_is_cancelled(world: World) -> None:
    for steps in itertools.count():
        with pytest.raises(Killed):
            world.predict(Life(steps), again=True)
        world.bury()
        left = world.last_run()
        if left is not None and world.vendor.files:
            break
    assert left is not None
    assert [each.status for each in world.batches(left)] == ["written"]
    run = world.resume(left.id, cancelled=True)
    assert run.status == "cancelled"
    assert not world.vendor.files
    assert [each.status for each in world.batches(run)] == ["dropped"]
