"""`maploop predict --batch`, as a pipeline and people call it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from db.models import Tile as TileRow
from db.shared import shared
from maploop.cli import run
from maploop.predict.chat.pace import RealClock
from maploop.prices import load_prices
from tests.commands import refused, said
from tests.test_cli_predict import TILES, add
from tests.tune.ground import painted_files
from tests.vendor import KEY, BatchPlan, Vendor

PREDICT = ("predict", "Town", "--model", "eyes", "--yes")


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A server that answers that nothing is there."""
    with Vendor() as vendor:
        yield vendor


@pytest.fixture
def town(
    sqlite_url: str, tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Vendor:
    """A project with imagery and a model `eyes`; waiting takes no time."""
    monkeypatch.setenv("TOWN_KEY", KEY)
    imagery, _ = painted_files(tmp_path, TILES)
    said(capsys, "project", "create", "Town", "--class", "building:polygon", "--zoom", "19", "--seed", "s")
    said(capsys, "import", "imagery", "Town", str(imagery))
    with shared(sqlite_url).write() as connection:
        connection.execute(update(TileRow).values(split="train"))
    said(capsys, *add("eyes", vendor))
    return vendor


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Waiting takes no time; what is in this list happens instead, a thing a wait."""
    things: list[Callable[[], None]] = []
    seconds = 0.0

    def wait(_: RealClock, wanted: float, halt: threading.Event) -> None:
        nonlocal seconds
        seconds += wanted
        if things:
            things.pop(0)()

    monkeypatch.setattr(RealClock, "wait", wait)
    monkeypatch.setattr(RealClock, "now", lambda _: seconds)
    return things


def test_a_batch_is_waited_for_and_costs_half(
    town: Vendor, meanwhile: list[Callable[[], None]], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = said(capsys, *PREDICT, "--batch", "--estimate")
    assert expected["cost"] == pytest.approx(said(capsys, *PREDICT, "--estimate")["cost"] / 2)
    done = said(capsys, *PREDICT, "--batch")
    assert (done["status"], done["predicted"]) == ("finished", TILES)
    assert [(each["status"], each["requests"]) for each in done["batches"]] == [("collected", TILES)]
    assert done["cost"] == pytest.approx(town.bill.cost(load_prices().price_of))
    assert {each.kind for each in town.bill.charges} == {"batch"}
    assert said(capsys, *PREDICT)["known"] == TILES


def test_nobody_has_to_wait(town: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    town.moves_by_itself = False
    assert run([*PREDICT, "--batch", "--no-wait"]) == 0
    out = capsys.readouterr().out
    assert "interrupted: 0 of 6 tiles" in out
    assert "1 batches with 6 tiles are at the server: --resume collects them." in out
    elsewhere = said(capsys, *PREDICT, code=3)
    assert elsewhere["run"] is None
    assert elsewhere["under_way"] == [{"run": 1, "tiles": TILES, "where": "in a batch at the server"}]
    again = said(capsys, *PREDICT, "--resume", "--no-wait")
    assert (again["status"], again["batches"][0]["remote_status"]) == ("interrupted", "validating")
    town.advance(4)
    done = said(capsys, *PREDICT, "--resume", "--no-wait")
    assert (done["status"], done["predicted"]) == ("finished", TILES)
    assert len(town.batches) == 1
    assert not town.bill.twice()


def test_ctrl_c_leaves_the_batch_at_work(
    town: Vendor, meanwhile: list[Callable[[], None]], capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    meanwhile.append(interrupt)
    assert run([*PREDICT, "--batch"]) == 130
    assert "--resume collects them" in capsys.readouterr().out
    done = said(capsys, *PREDICT, "--resume")
    assert (done["status"], done["predicted"]) == ("finished", TILES)
    assert not town.bill.twice()


def test_a_run_in_batches_can_be_cancelled(
    town: Vendor, meanwhile: list[Callable[[], None]], capsys: pytest.CaptureFixture[str]
) -> None:
    town.moves_by_itself = False
    town.batch_plans = [BatchPlan(pace=2)]
    said(capsys, *PREDICT, "--batch", "--no-wait")
    town.advance(2)
    town.moves_by_itself = True
    ended = said(capsys, *PREDICT, "--cancel", code=3)
    assert (ended["status"], ended["predicted"], ended["pending"]) == ("cancelled", 2, TILES - 2)
    assert ended["batches"][0]["remote_status"] == "cancelled"
    assert len(town.bill.charges) == 2


def test_wishes_about_batches_that_do_not_fit_end_in_one_line(town: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--resume goes on" in refused(capsys, *PREDICT, "--resume", "--batch")
    assert "--cancel ends the run" in refused(capsys, *PREDICT, "--cancel", "--all")
    assert "has no run that was left unfinished" in refused(capsys, *PREDICT, "--cancel")
