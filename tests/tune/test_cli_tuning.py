"""`maploop tune` at a server and into a bundle, and `maploop tuning`, as people and pipelines call them."""

import json
from pathlib import Path

import pytest

from maploop.cli import run
from tests.commands import said
from tests.tune.hosted import BASE, KilledError, Line, Office
from tests.vendor import KEY, JobPlan


@pytest.fixture
def town(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """The key is in the environment, the files are on the shelf, and nobody waits between two looks."""
    monkeypatch.setenv("VENDOR_KEY", KEY)
    monkeypatch.setattr("maploop.tune.hosted.POLL_SECONDS", 0.0)
    monkeypatch.setattr("maploop.tune.hosted.PAUSED_SECONDS", 0.0)
    office.plan()
    office.vendor.seen.clear()
    return office


def tune_there(office: Office, *more: str) -> list[str]:
    server = ["--base-url", office.vendor.url, "--key", "VENDOR_KEY"]
    return ["tune", "Town", "--dataset", office.dataset.id[:10], "--base", BASE, "--trainer", "openai", *server, *more]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr; what was looked at before may stand on stdout."""
    assert run(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_training_at_a_server_from_the_command_line(town: Office, capsys: pytest.CaptureFixture[str]) -> None:
    made = said(capsys, *tune_there(town, "--name", "tuned", "--epochs", "2", "--yes"))
    assert (made["status"], made["model"], made["hyperparameters"]) == ("succeeded", "tuned", {"epochs": 2})
    assert made["cost"] == town.bill()
    assert made["destination"].startswith("127.0.0.1:")
    (listed,) = said(capsys, "tuning", "list", "Town")["jobs"]
    assert listed == made
    shown = said(capsys, "tuning", "show", "Town", str(made["job"]))
    assert [each["model"] for each in shown["checkpoints"]] == ["tuned", None]
    assert any(each["metrics"].get("train_loss") for each in shown["events"])
    assert KEY not in json.dumps(shown)

    assert run(["tuning", "show", "Town", "1"]) == 0
    told = capsys.readouterr().out
    assert "Tuning job 1 of 'tuned' at 127.0.0.1" in told
    assert "registered as 'tuned'" in told
    assert run(tune_there(town, "--name", "again", "--yes")) == 0
    told = capsys.readouterr().out
    assert "Tuning job 1 is succeeded with the same dataset and base: this is paid anew." in told
    assert "USD by the tokens it counted." in told


def test_nothing_is_sent_unless_somebody_agrees_to_destination_count_and_cost(
    town: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, *tune_there(town))
    assert "Nothing was sent. Send 12 examples with 12 pictures to 127.0.0.1:" in told
    assert f"and train '{BASE}' on them? That costs about " in told
    assert " USD at the prices of " in told
    assert "Say so with --yes." in told
    plan = said(capsys, *tune_there(town, "--dry-run"))
    assert plan["question"] in told
    assert plan["may_start"] is True
    assert {each["route"] if isinstance(each, dict) else each.route for each in town.vendor.seen} == {
        "GET /v1/models/{id:path}"
    }
    assert said(capsys, "tuning", "list", "Town") == {"jobs": []}


def test_a_training_that_fails_says_so_and_exits_with_2(town: Office, capsys: pytest.CaptureFixture[str]) -> None:
    town.vendor.job_plans = [JobPlan(fails="server_error", message="Out of luck.")]
    assert run(tune_there(town, "--yes")) == 2
    assert "(server_error: Out of luck)" in capsys.readouterr().err
    town.vendor.training_available = False
    assert run(tune_there(town, "--yes")) == 2
    assert "no longer trains models for this organisation" in capsys.readouterr().err


def test_a_training_that_was_left_is_shown_paused_resumed_and_cancelled(
    town: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    job = town.start()
    with pytest.raises(KilledError):
        town.carry_out(job.id, Line("GET /v1/fine_tuning/jobs/ftjob-", 10))
    (left,) = said(capsys, "tuning", "list", "Town")["jobs"]
    assert (left["status"], left["remote_status"]) == ("running", "running")
    paused = said(capsys, "tuning", "pause", "Town", "1")
    assert (paused["status"], paused["wish"]) == ("paused", None)
    ended = said(capsys, "tuning", "resume", "Town", "1")
    assert (ended["status"], ended["model"]) == ("succeeded", "tuned")
    assert len(town.vendor.bill.charges) == 1
    assert "is succeeded already" in refused(capsys, "tuning", "cancel", "Town", "1")
    assert "only a running one can be paused" in refused(capsys, "tuning", "pause", "Town", "1")

    second = town.start(town.plan(name="second"))
    with pytest.raises(KilledError):
        town.carry_out(second.id, Line("GET /v1/fine_tuning/jobs/ftjob-", 10))
    cancelled = said(capsys, "tuning", "cancel", "Town", "2")
    assert (cancelled["status"], cancelled["model"]) == ("cancelled", None)
    assert len(town.vendor.bill.charges) == 1


def test_a_local_training_is_a_job_too(town: Office, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "tune", "Town", "--dataset", town.dataset.id, "--base", "local")  # its imagery is not on disk
    (job,) = said(capsys, "tuning", "list", "Town")["jobs"]
    assert (job["trainer"], job["status"], job["cost"]) == ("local", "failed", 0.0)
    assert job["error"]
    plan = said(capsys, "tune", "Town", "--dataset", town.dataset.id, "--base", "local", "--dry-run")
    assert (plan["destination"], plan["examples"], plan["cost"]) == ("this machine", 10, 0.0)


def test_wrong_wishes_end_in_one_line(town: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = ["tune", "Town", "--dataset", town.dataset.id]
    assert "'x' is not a trainer" in refused(capsys, *dataset, "--base", "local", "--trainer", "x")
    assert "--out is missing" in refused(capsys, *dataset, "--base", "a/b", "--trainer", "bundle")
    assert "--epochs means nothing to the local" in refused(capsys, *dataset, "--base", "local", "--epochs", "2")
    assert "--out means nothing" in refused(capsys, *tune_there(town, "--out", str(tmp_path)))
    assert "There is no model 'gpt-4o'" in refused(capsys, *dataset, "--base", "gpt-4o")
    assert "51 is no number of epochs" in refused(capsys, *tune_there(town, "--epochs", "51"))
    assert "There is no tuning job 7" in refused(capsys, "tuning", "show", "Town", "7")
    key = refused(capsys, *tune_there(town, "--key", "sk-secret"))
    assert "never the key itself" in key
    assert "sk-secret" not in key
    assert "The key OTHER_KEY is not set" in refused(capsys, *tune_there(town, "--key", "OTHER_KEY"))
    assert not town.vendor.files
