"""Training files at a server: deleted when asked, or at the end, and never while a training needs them."""

from dataclasses import replace

import httpx2
import pytest

from maploop.cli import run
from maploop.errors import ConflictError
from maploop.tune.jobs import JobView
from maploop.tune.records import cancel_job
from maploop.tune.remote import ServerBusyError
from maploop.tune.vendor_files import DeletedFiles, delete_files
from tests.commands import said
from tests.tune.hosted import KilledError, Line, Office, other
from tests.vendor import KEY, server_error

DELETE = "DELETE /v1/files/{id}"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command line looks for it."""
    monkeypatch.setenv("VENDOR_KEY", KEY)


def delete(office: Office, job_id: int, line: Line | None = None) -> DeletedFiles:
    clients = office.clients(http_client=httpx2.Client(transport=line)) if line else office.clients()
    return delete_files(office.ground.database, office.ground.project, job_id, clients, annotator="anna")


def uploads(office: Office) -> list[str]:
    """The ids of what was sent; the server's own files of figures are beside them."""
    return [each["id"] for each in office.vendor.files.values() if each["purpose"] == "fine-tune"]


def deletions(office: Office, job_id: int) -> int:
    words = ("Deleted file-", "was gone already")
    return sum(any(word in each.message for word in words) for each in office.events(job_id))


def ids_of(job: JobView) -> list[str | None]:
    return [job.training_file_id, job.validation_file_id]


def test_the_files_of_an_ended_training_are_deleted_once_and_the_model_stays(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    job = office.carry_out(office.start().id)
    assert job.has_files_left
    ids = ids_of(job)
    assert run(["tuning", "list", "Town"]) == 0
    assert "Its files are still at 127.0.0.1" in capsys.readouterr().out
    found = said(capsys, "tuning", "delete-files", "Town", str(job.id))
    assert found == {"job": job.id, "destination": job.destination, "deleted": ids, "gone": []}
    assert not uploads(office)
    after = said(capsys, "tuning", "show", "Town", str(job.id))
    assert (after["remote"]["training_file"], after["remote"]["validation_file"]) == (None, None)
    assert (after["status"], after["model"]) == ("succeeded", "tuned")
    assert after["events"][-1]["message"].startswith(f"Deleted {ids[1]} at 127.0.0.1")
    assert said(capsys, "tuning", "delete-files", "Town", str(job.id))["deleted"] == []
    assert deletions(office, job.id) == 2
    assert run(["tuning", "delete-files", "Town", str(job.id)]) == 0
    assert "No file of this training is at 127.0.0.1" in capsys.readouterr().out


def test_files_that_a_training_needs_are_kept(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    job = office.carry_out(office.start().id)
    second = office.start(other(office.plan(name="second")))
    assert run(["tuning", "delete-files", "Town", str(second.id)]) == 2
    assert "may still need its files" in capsys.readouterr().err
    with pytest.raises(ConflictError, match=f"Tuning job {second.id}, which makes 'second', trains on the same files"):
        delete(office, job.id)
    assert len(uploads(office)) == 2
    second = office.carry_out(second.id)
    assert ids_of(second) == ids_of(job)
    assert delete(office, second.id).deleted == ids_of(job)
    assert ids_of(office.job(job.id)) == [None, None]  # they are gone for both
    assert delete(office, job.id).gone == []


@pytest.mark.parametrize("answered", [False, True])
def test_a_kill_while_files_are_deleted_is_made_up_for(office: Office, answered: bool) -> None:
    job = office.carry_out(office.start().id)
    with pytest.raises(KilledError):
        delete(office, job.id, Line("DELETE /v1/files", answered=answered))
    assert ids_of(office.job(job.id)) == ids_of(job)
    found = delete(office, job.id)
    assert (found.gone, len(found.deleted)) == (([job.training_file_id], 1) if answered else ([], 2))
    assert not uploads(office)
    assert deletions(office, job.id) == 2


def test_a_file_whose_upload_nobody_noted_is_found_by_its_hash(office: Office) -> None:
    job = office.start()
    with pytest.raises(KilledError):
        office.carry_out(job.id, Line("POST /v1/files", answered=True))
    with office.ground.database.write() as connection:
        assert cancel_job(connection, office.ground.project, job.id).status == "cancelled"
    (left,) = uploads(office)
    assert delete(office, job.id).deleted == [left]
    assert not uploads(office)


def test_a_server_in_trouble_leaves_it_to_be_asked_again(office: Office) -> None:
    job = office.carry_out(office.start().id)
    office.vendor.faults.on_route(DELETE, server_error())
    with pytest.raises(ServerBusyError):
        delete(office, job.id)
    assert office.job(job.id).has_files_left
    assert delete(office, job.id).deleted == ids_of(job)


@pytest.mark.parametrize("answered", [False, True])
def test_files_are_deleted_when_the_training_ends_if_that_was_confirmed_whenever_the_process_is_killed(
    office: Office, answered: bool
) -> None:
    plan = replace(office.plan(name="tuned"), delete_files=True)
    assert plan.question.endswith("The files are deleted there when the training ends.")
    job = office.start(plan)
    assert job.delete_files
    with pytest.raises(KilledError):
        office.carry_out(job.id, Line("DELETE /v1/files", 2, answered=answered))
    assert not office.job(job.id).is_over
    job = office.carry_out(job.id)
    assert (job.status, job.model, ids_of(job)) == ("succeeded", "tuned", [None, None])
    assert not uploads(office)
    assert deletions(office, job.id) == 2


def test_a_training_ends_well_when_its_files_cannot_be_deleted_and_says_so(office: Office) -> None:
    office.vendor.faults.on_route(DELETE, server_error())
    job = office.carry_out(office.start(replace(office.plan(name="tuned"), delete_files=True)).id)
    assert (job.status, job.has_files_left) == ("succeeded", True)
    warned = [each.message for each in office.events(job.id) if each.level == "warn"]
    assert len(warned) == 1
    assert "may be left at 127.0.0.1" in warned[0]
    assert len(delete(office, job.id).deleted) == 2


def test_the_command_line_remembers_the_wish_and_refuses_it_where_nothing_is_uploaded(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["tune", "Town", "--dataset", office.dataset.id[:10], "--delete-files"]
    assert run([*base, "--base", "local"]) == 2
    assert "--delete-files means nothing to the local trainer" in capsys.readouterr().err
    office.plan()
    server = ["--trainer", "openai", "--base-url", office.vendor.url, "--key", "VENDOR_KEY", "--dry-run"]
    plan = said(capsys, *base, "--base", "gpt-4o-2024-08-06", *server)
    assert (plan["delete_files"], "deleted there" in plan["question"]) == (True, True)
