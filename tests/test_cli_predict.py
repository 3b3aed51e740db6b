"""`maploop model` and `maploop predict` with a chat model, as a pipeline calls them."""

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from db.models import Tile as TileRow
from db.shared import shared
from maploop.cli import run
from maploop.prices import load_prices
from tests.builders import CORNER
from tests.commands import refused, said
from tests.tune.ground import painted_files
from tests.vendor import KEY, Vendor, server_error

TILES = 6
AT_ONCE = 4  # requests under way, unless told


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A server that answers that nothing is there."""
    with Vendor() as vendor:
        yield vendor


@pytest.fixture
def town(
    sqlite_url: str, tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Vendor:
    """A project with imagery and truth, its last two tiles of the test split, and a model `eyes`."""
    monkeypatch.setenv("TOWN_KEY", KEY)
    imagery, truth = painted_files(tmp_path, TILES)
    said(capsys, "project", "create", "Town", "--class", "building:polygon", "--zoom", "19", "--seed", "s")
    said(capsys, "import", "imagery", "Town", str(imagery))
    with shared(sqlite_url).write() as connection:
        connection.execute(update(TileRow).values(split="train"))
        connection.execute(update(TileRow).where(TileRow.x >= CORNER.x + TILES - 2).values(split="test"))
    said(capsys, "import", "annotations", "Town", str(truth))
    said(capsys, *add("eyes", vendor))
    return vendor


def add(name: str, vendor: Vendor, *options: str) -> list[str]:
    named = ["model", "add", "Town", name, "--backend", "chat", "--identifier", "gpt-4o"]
    return [*named, "--base-url", vendor.url, "--key", "TOWN_KEY", *options]


def test_a_model_is_added_and_listed(town: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--dialect", "qwen", "--max-tokens", "2000", "--parameter", "timeout=60")
    added = said(capsys, *add("qwen", town, *options))
    expected = {"base_url": town.url, "key": "TOWN_KEY", "dialect": "qwen", "max_tokens": 2000, "timeout": 60.0}
    assert added["parameters"] == expected
    listed = said(capsys, "model", "list", "Town")["models"]
    assert [(each["model"], each["backend"], each["identifier"]) for each in listed] == [
        ("eyes", "chat", "gpt-4o"),
        ("qwen", "chat", "gpt-4o"),
    ]
    assert KEY not in json.dumps(listed)
    assert town.seen == []
    assert run(["model", "list", "Town"]) == 0
    assert capsys.readouterr().out == "eyes: chat gpt-4o\nqwen: chat gpt-4o\n"


def test_models_that_cannot_be_are_refused_in_one_line(town: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is a model 'eyes'" in refused(capsys, *add("eyes", town))
    leaked = refused(capsys, *add("new", town, "--parameter", "key=sk-secret"))
    assert "never the key itself" in leaked
    assert "sk-secret" not in leaked
    assert "'klingon': use one of openai" in refused(capsys, *add("new", town, "--dialect", "klingon"))
    assert "'colour' is not a parameter" in refused(capsys, *add("new", town, "--parameter", "colour=red"))
    assert "'colour' is not a parameter: write NAME=VALUE" in refused(
        capsys, *add("new", town, "--parameter", "colour")
    )
    other = ["model", "add", "Town", "new", "--backend", "crystal", "--identifier", "ball"]
    assert "'crystal' is not a backend" in refused(capsys, *other)
    nameless = ["model", "add", "Town", "new", "--backend", "chat", "--identifier", " "]
    assert "is not the identifier of a model" in refused(capsys, *nameless)
    assert len(said(capsys, "model", "list", "Town")["models"]) == 1


def test_a_chat_model_predicts_with_examples_within_a_budget(town: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    predict = ("predict", "Town", "--model", "eyes", "--split", "test", "--yes")
    plain = said(capsys, *predict)
    assert (plain["status"], plain["predicted"], plain["known"]) == ("finished", 2, 0)
    assert plain["cost"] == pytest.approx(town.bill.cost(load_prices().price_of))
    assert said(capsys, *predict)["known"] == 2
    expected = said(capsys, *predict, "--shots", "2", "--retrieve", "--estimate")
    asked_before = len(town.seen)
    shown = said(capsys, *predict, "--shots", "2", "--retrieve", "--concurrency", "2", "--budget", "1")
    assert (shown["predicted"], len(town.seen)) == (2, asked_before + 2)
    assert 0.5 < expected["cost"] / shown["cost"] < 2
    assert shown["cost"] < expected["most"]
    assert expected["tiles"] == 2
    stopped = said(capsys, *predict, "--again", "--budget", "0.0001", code=3)
    assert (stopped["status"], stopped["pending"]) == ("cancelled", 2)
    assert "The budget of 0.0001 USD is used up" in stopped["error"]
    rest = said(capsys, "predict", "Town", "--model", "eyes", "--resume", "--budget", "1", "--yes")
    assert (rest["run"], rest["status"], rest["predicted"]) == (stopped["run"], "finished", 2)


def test_a_model_with_examples_is_a_model_that_can_be_compared_promoted_and_asked_again(
    town: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    predict = ("predict", "Town", "--split", "test", "--yes")
    assert "has no current model yet" in refused(capsys, *predict)
    said(capsys, *predict, "--model", "eyes")
    shown = said(capsys, *predict, "--model", "eyes", "--shots", "2", "--retrieve")
    assert shown["model"] == "eyes, 2 nearest examples"
    assert said(capsys, *predict, "--model", "eyes", "--shots", "2", "--retrieve")["known"] == 2
    assert said(capsys, *predict, "--model", "eyes, 2 nearest examples")["known"] == 2
    models = {each["model"] for each in said(capsys, "model", "list", "Town")["models"]}
    assert models == {"eyes", "eyes, 2 nearest examples"}
    compared = said(capsys, "compare", "Town", "--model", "eyes", "--model", "eyes, 2 nearest examples")
    assert [each["asked"] for each in compared["models"]] == [2, 2]
    assert [each["spent"]["cost"] > 0 for each in compared["models"]] == [True, True]
    assert compared["models"][1]["prompt_hashes"] != compared["models"][0]["prompt_hashes"]
    said(capsys, "promote", "Town", "--model", "eyes, 2 nearest examples", "--overrule", "To see it run.")
    again = said(capsys, *predict, "--again")
    assert again["model"] == "eyes, 2 nearest examples"
    assert again["prompt_hash"] == shown["prompt_hash"]
    other = said(capsys, *predict, "--model", "eyes, 2 nearest examples", "--shots", "1")
    assert other["model"] == "eyes, 1 nearest example"


def test_an_estimate_needs_no_key_and_sends_nothing(
    town: Vendor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOWN_KEY")
    expected = said(capsys, "predict", "Town", "--model", "eyes", "--all", "--estimate")
    assert (expected["tiles"], expected["known"]) == (TILES, 0)
    assert expected["tokens"] == expected["input_tokens"] + expected["output_tokens"]
    assert 0 < expected["cost"] < expected["most"]
    assert run(["predict", "Town", "--model", "eyes", "--all", "--estimate"]) == 0
    assert "6 tiles with imagery: about" in capsys.readouterr().out
    assert town.seen == []
    missing = refused(capsys, "predict", "Town", "--model", "eyes", "--all")
    assert "The key TOWN_KEY is not set" in missing


def test_what_failed_is_said_with_its_kind(town: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, *add("hasty", town, "--parameter", "attempts=1"))
    town.faults.on_request(1, server_error())
    assert run(["predict", "Town", "--model", "hasty", "--split", "test", "--concurrency", "1", "--yes"]) == 3
    out = capsys.readouterr().out
    assert "finished: 1 of 2 tiles" in out
    assert "1 tiles failed: 1 server." in out


def test_wishes_that_do_not_fit_end_in_one_line(town: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    predict = ("predict", "Town", "--model", "eyes", "--all")
    assert "say how many with --shots" in refused(capsys, *predict, "--retrieve")
    assert "does not fit as budget" in refused(capsys, *predict, "--budget", "-1")
    assert "does not fit as concurrency" in refused(capsys, *predict, "--concurrency", "0")
    assert "'psychic' is not known" in refused(capsys, *predict, "--shots", "1", "--retrieve", "--embedder", "psychic")
    resumed = ("predict", "Town", "--model", "eyes", "--resume")
    assert "--resume goes on" in refused(capsys, *resumed, "--shots", "1")
    assert "has no run that was left unfinished" in refused(capsys, *resumed)
    assert town.seen == []


def test_told_to_end_it_keeps_what_is_on_its_way(
    town: Vendor, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    town.held = threading.Event()
    predict = ("predict", "Town", "--model", "eyes")
    command = [sys.executable, "-c", "from maploop.cli import main; main()", *predict, "--all", "--yes", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, "--db", sqlite_url], text=True, stdout=pipe, stderr=pipe) as process:
        while town.in_flight < AT_ONCE:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"It ended by itself: {process.wait(0.05)}.")
        process.terminate()
        town.held.set()
        out, error = process.communicate()
    assert (process.returncode, error.splitlines()[-1]) == (130, "Stopped.")
    assert len(town.bill.charges) >= AT_ONCE
    left = json.loads(out)
    assert (left["interrupted"], left["status"], left["pending"]) == (True, "cancelled", TILES - left["predicted"])
    assert left["predicted"] >= AT_ONCE
    assert left["resume"] == "maploop predict Town --model eyes --resume"
    done = said(capsys, *shlex.split(left["resume"])[1:], "--yes")
    assert (done["status"], done["predicted"]) == ("finished", TILES)
    assert town.bill.twice() == {}


def test_nothing_is_sent_before_somebody_agreed_to_where_and_how_much(
    town: Vendor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = ["predict", "Town", "--model", "eyes", "--split", "test"]
    refusal = refused(capsys, *predict)
    where = town.url.removeprefix("http://").partition("/")[0]
    assert f"Nothing was sent. 2 finished tiles of the test split to {where}, model gpt-4o: about" in refusal
    assert "USD at most" in refusal
    assert "--yes" in refusal
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert run(predict) == 130
    assert "Go on?" in capsys.readouterr().err
    assert town.seen == []
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert run(predict) == 0
    out = capsys.readouterr().out
    cost = town.bill.cost(load_prices().price_of)
    assert re.search(rf"It took [\d,]+ tokens for {cost:.4f} USD\.", out)


class Terminal(io.StringIO):
    """Somebody at a keyboard."""

    def isatty(self) -> bool:
        return True


def test_a_split_means_its_finished_tiles(town: Vendor, sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with shared(sqlite_url).write() as connection:
        connection.execute(update(TileRow).where(TileRow.x == CORNER.x + TILES - 1).values(status="open"))
    estimate = ("predict", "Town", "--model", "eyes", "--split", "test", "--estimate")
    assert said(capsys, *estimate)["tiles"] == 1
    assert said(capsys, *estimate, "--unreviewed")["tiles"] == 1
    assert said(capsys, *estimate, "--all")["tiles"] == 2
    nothing = refused(capsys, "predict", "Town", "--model", "eyes", "--split", "validation")
    assert "'Town' has no finished tiles of the validation split: review some, or add --all." in nothing


def test_a_second_process_is_told_of_the_first(
    town: Vendor, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    town.held = threading.Event()
    predict = ("predict", "Town", "--model", "eyes", "--all", "--yes")
    command = [sys.executable, "-c", "from maploop.cli import main; main()", *predict, "--db", sqlite_url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while town.in_flight < AT_ONCE:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"It ended by itself: {process.wait(0.05)}.")
        second = said(capsys, *predict, code=3)
        assert (second["run"], second["known"]) == (None, 0)
        (first,) = second["under_way"]
        assert (first["run"], first["tiles"]) == (1, TILES)
        assert first["where"].startswith(f"in process {process.pid} on ")
        assert run(list(predict)) == 3
        assert f"Run 1 is at work on {TILES} tiles of these in process {process.pid}" in capsys.readouterr().out
        town.held.set()
        assert process.wait() == 0
    assert said(capsys, *predict)["known"] == TILES


def test_a_server_that_goes_away_midway_leaves_the_rest_pending_and_says_so(
    town: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, *add("hasty", town, "--parameter", "attempts=1"))
    for request in range(2, 20):
        town.faults.on_request(request, server_error())
    left = said(capsys, "predict", "Town", "--model", "hasty", "--all", "--concurrency", "1", "--yes", code=3)
    assert (left["predicted"], left["failed"], left["status"]) == (1, 5, "finished")
    assert left["failures"] == {"server": 5}


def test_answers_that_nobody_can_use_are_no_success(town: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    town.brain = lambda _: json.dumps(
        {"features": [{"class": "castle", "geometry": "polygon", "points": [[1, 1], [9, 1], [9, 9]], "holes": []}]}
    )
    answer = said(capsys, "predict", "Town", "--model", "eyes", "--split", "test", "--yes", code=3)
    assert answer["features"] == 0
    assert sum(answer["dropped"].values()) == 2
