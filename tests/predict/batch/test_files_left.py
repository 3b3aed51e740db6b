"""Files of batches at the server: none is left, whatever came between."""

import itertools
from collections.abc import Sequence

import pytest
from sqlalchemy import update

from db.models import Imagery
from maploop.errors import LicenceError
from maploop.imagery.tilemath import Tile
from maploop.predict.batch.records import BatchView, Records
from tests.predict.batch.ground import Life, World
from tests.predict.ground import TILES, Killed
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


@pytest.mark.parametrize("status", ["written", "uploaded"])
def test_a_file_with_pictures_that_may_not_leave_any_more_is_not_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr("maploop.predict.destination.is_own_server", lambda _: False)
    for steps in itertools.count():
        with pytest.raises(Killed):
            world.predict(Life(steps), again=True)
        world.bury()
        left = world.last_run()
        if left is not None and [each.status for each in world.batches(left)] == [status]:
            break
    assert left is not None
    assert not world.vendor.batches
    with world.database.write() as connection:
        connection.execute(update(Imagery).values(may_leave=False))
    run = world.resume(left.id)
    assert (run.status, run.done, run.failures) == ("finished", 0, {"licence": TILES})
    (batch,) = world.batches(run)
    assert batch.status == "dropped"
    assert "do not allow its pictures to be sent to other parties" in batch.error
    assert not world.vendor.batches
    mine = f"maploop-run-{run.id}-"  # runs that were killed before it may have left files of theirs
    assert not [each for each in world.vendor.files.values() if each["filename"].startswith(mine)]
    assert not list(world.batches_folder.glob(f"{mine}*"))


def test_a_right_that_is_withdrawn_while_a_file_is_written_holds_for_the_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maploop.predict.destination.is_own_server", lambda _: False)
    write_down = Records.write_down

    def withdrawn(self: Records, name: str, tiles: Sequence[Tile], size: int) -> BatchView:
        with world.database.write() as connection:
            connection.execute(update(Imagery).values(may_leave=False))
        return write_down(self, name, tiles, size)

    monkeypatch.setattr(Records, "write_down", withdrawn)
    with pytest.raises(LicenceError, match="Batch 1 is not sent"):
        world.predict()
    left = world.last_run()
    assert left is not None
    assert world.resume(left.id).failures == {"licence": TILES}
    assert not world.vendor.files
