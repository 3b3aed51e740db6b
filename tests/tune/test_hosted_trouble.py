"""Trouble at the server's end and at ours: nothing is sent, ordered or paid twice, and what happened is said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import update

from db.models import Imagery
from maploop.errors import ConflictError, InputError, LicenceError
from maploop.tune.records import cancel_job, pause_job, resume_job, waiting_jobs
from maploop.tune.work import carry_out_job
from tests.tune.hosted import KilledError, Line, Office
from tests.vendor import HALF, HANG, RESET, RESET_AFTER, Fault, Vendor, rate_limit, server_error

CREATE, UPLOAD = "POST /v1/fine_tuning/jobs", "POST /v1/files"
LOOK = "GET /v1/fine_tuning/jobs/{id}"


def is_right(office: Office, job_id: int, name: str = "tuned") -> None:
    """It ended well, and everything that costs something happened once."""
    job = office.job(job_id)
    assert (job.status, job.model, job.error) == ("succeeded", name, "")
    assert len(office.vendor.jobs) == 1
    assert len(office.vendor.bill.charges) == 1
    assert job.cost == office.bill()
    names = [each["filename"] for each in office.vendor.files.values() if each["purpose"] == "fine-tune"]
    assert sorted(names) == sorted(f"maploop-{each['sha256']}.jsonl" for each in job.preflight["files"])
    ids = [each.id for each in office.checkpoints(job_id)]
    assert len(ids) == 3
    told = [each.message for each in office.events(job_id) if each.message.startswith("Step ")]
    assert len(told) == len(set(told)) == 3


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize(
    ("request_line", "nth"),
    [
        ("GET /v1/files", 1),
        ("POST /v1/files", 1),
        ("POST /v1/files", 2),
        ("GET /v1/files/file-", 2),
        ("POST /v1/fine_tuning/jobs", 1),
        ("GET /v1/fine_tuning/jobs/ftjob-", 1),
        ("GET /v1/fine_tuning/jobs/ftjob-", 9),
        ("GET /v1/fine_tuning/jobs/ftjob-", -1),
    ],
)
def test_a_process_that_dies_is_followed_by_one_that_pays_nothing_twice(
    office: Office, request_line: str, nth: int, answered: bool
) -> None:
    if nth < 0:  # the last request of all: known from a training that nothing disturbs
        line = Line()
        with Vendor() as vendor:
            elsewhere = Office(office.ground, vendor)
            elsewhere.carry_out(elsewhere.start(elsewhere.plan(name="rehearsal")).id, line)
        nth = sum(each.startswith(request_line) for each in line.requests)
    job = office.start()
    with pytest.raises(KilledError):
        office.carry_out(job.id, Line(request_line, nth, answered=answered))
    office.carry_out(job.id)
    is_right(office, job.id)


@pytest.mark.parametrize(
    ("route", "fault"),
    [
        *((CREATE, each) for each in (rate_limit("7"), server_error(503), RESET, RESET_AFTER, HALF)),
        (UPLOAD, rate_limit("7")),
        (UPLOAD, RESET_AFTER),
        (LOOK, rate_limit("7")),
        (LOOK, HALF),
        (f"{LOOK}/events", server_error()),
        (f"{LOOK}/checkpoints", server_error()),
        ("GET /v1/files*", server_error()),
    ],
)
def test_passing_faults_end_nothing(office: Office, route: str, fault: Fault) -> None:
    job = office.start()
    office.vendor.faults.on_route(route, fault, times=2)
    office.carry_out(job.id)
    assert fault in office.vendor.faults.used
    is_right(office, job.id)
    if fault.retry_after:
        assert office.time.waits.count(1.0) >= 14


def test_a_server_that_is_gone_in_the_middle_is_waited_for_longer_and_longer(office: Office) -> None:
    job = office.start()
    told: list[str] = []

    def go_and_come() -> None:
        now = office.job(job.id)
        if now.remote_status == "running" and not told:
            office.vendor.stop()
        if "Trying again in" in now.doing and now.doing not in told:
            told.append(now.doing)
            if len(told) == 5:
                office.vendor.start()

    office.time.then = go_and_come
    office.carry_out(job.id)
    seconds = [int(each.removesuffix(" s.").rpartition(" ")[2]) for each in told]
    assert seconds == [1, 2, 4, 8, 16]
    assert "does not answer" in told[0]
    is_right(office, job.id)


def test_an_order_whose_answer_was_lost_is_looked_for_before_another_is_placed(office: Office) -> None:
    job = office.start()
    office.vendor.faults.on_request(1, RESET_AFTER, CREATE)
    office.carry_out(job.id)
    assert len(office.vendor.requests_to(CREATE)) == 1
    is_right(office, job.id)


def test_an_order_that_never_arrived_is_placed_again_after_a_while(office: Office) -> None:
    job = office.start()
    office.vendor.faults.on_request(1, RESET, CREATE)
    before = office.time.now
    office.carry_out(job.id)
    assert (office.time.now - before).total_seconds() > 30
    assert len(office.vendor.requests_to(CREATE)) == 2
    is_right(office, job.id)


def test_an_upload_that_hangs_is_given_up_and_found_out_about(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maploop.tune.remote.UPLOAD_SECONDS", 0.5)
    job = office.start()
    office.vendor.faults.on_request(1, HANG, UPLOAD)
    office.carry_out(job.id)
    is_right(office, job.id)


def test_cancelling_while_nobody_knows_whether_it_was_ordered_cancels_what_was(office: Office) -> None:
    job = office.start()
    with pytest.raises(KilledError):
        office.carry_out(job.id, Line(CREATE, answered=True))
    assert len(office.vendor.jobs) == 1
    with office.ground.database.write() as connection:
        assert cancel_job(connection, office.ground.project, job.id).wish == "cancel"
        assert [each.job_id for each in waiting_jobs(connection)] == [job.id]
    assert office.carry_out(job.id).status == "cancelled"
    (remote,) = office.vendor.jobs.values()
    assert remote.row["status"] == "cancelled"
    assert not office.vendor.bill.charges


def test_an_organisation_that_may_not_train_is_told_what_remains(office: Office) -> None:
    office.vendor.training_available = False
    job = office.carry_out(office.start().id)
    assert (job.status, job.cost, job.model) == ("failed", None, None)
    assert "no longer trains models for this organisation (HTTP 403" in job.error
    for way in ("Azure", "Together and Fireworks", "trl, ms-swift or LLaMA-Factory", "the local model"):
        assert way in job.error
    assert job.can_resume
    office.vendor.training_available = True
    with office.ground.database.write() as connection:
        assert resume_job(connection, office.ground.project, job.id).status == "interrupted"
    office.carry_out(job.id)
    is_right(office, job.id)


def test_a_wrong_key_is_said_without_showing_it(office: Office) -> None:
    job = office.start()
    office.vendor.keys = {"sk-of-somebody-else"}
    failed = office.carry_out(job.id)
    assert failed.status == "failed"
    assert "does not know the key (HTTP 401: Incorrect API key provided: [key])" in failed.error
    assert "sk-" not in str(failed)


def test_a_key_that_is_missing_is_named_and_leaves_an_ordered_training_alone(office: Office) -> None:
    database, project = office.ground.database, office.ground.project
    job = office.start()
    with pytest.raises(InputError, match="The key VENDOR_KEY is not set"):
        carry_out_job(database, project, job.id, sources=office.ground.sources)
    assert (office.job(job.id).status, office.job(job.id).can_resume) == ("failed", True)

    with pytest.raises(KilledError):
        office.carry_out(job.id, Line("GET /v1/fine_tuning/jobs/ftjob"))
    with pytest.raises(InputError, match="The key VENDOR_KEY is not set"):
        carry_out_job(database, project, job.id, sources=office.ground.sources)
    left = office.job(job.id)
    assert (left.status, left.doing.split(":")[0]) == ("running", "The key VENDOR_KEY is not set")
    with database.read() as connection:
        assert waiting_jobs(connection) == []  # not at once again
    office.carry_out(job.id)
    is_right(office, job.id)


def test_a_key_that_is_no_longer_taken_leaves_a_training_as_it_is(office: Office) -> None:
    job = office.start()
    keys = set(office.vendor.keys)

    def lock_out() -> None:
        if office.job(job.id).remote_status == "running":
            office.vendor.keys.clear()

    office.time.then = lock_out
    with pytest.raises(InputError, match=r"does not know the key \(HTTP 401"):
        office.carry_out(job.id)
    left = office.job(job.id)
    assert (left.status, left.remote_status, left.at_work) == ("running", "running", False)
    with office.ground.database.write() as connection:
        pause_job(connection, office.ground.project, job.id)
    with pytest.raises(InputError, match="does not know the key"):
        office.carry_out(job.id)
    assert office.job(job.id).wish == "pause"  # still to be met
    office.time.then = lambda: None
    office.vendor.keys |= keys
    with office.ground.database.write() as connection:
        cancel_job(connection, office.ground.project, job.id)
    assert office.carry_out(job.id).status == "cancelled"


def test_a_file_that_is_no_longer_what_was_confirmed_is_not_sent(office: Office) -> None:
    job = office.start()
    path = office.dataset.folder / "exports" / "openai" / "train.jsonl"
    path.write_bytes(path.read_bytes() + b"\n")
    office.ground.painted.fingerprint = "repainted"
    with pytest.raises(ConflictError, match="has changed since the dataset was frozen"):
        office.carry_out(job.id)
    assert office.job(job.id).status == "failed"
    assert not office.vendor.files


def test_uploaded_pictures_that_may_not_leave_any_more_are_deleted_and_not_trained_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maploop.tune.files.is_own_server", lambda _: False)
    job = office.start()
    with pytest.raises(KilledError):
        office.carry_out(job.id, Line("GET /v1/files/file-", 2))
    assert office.vendor.files
    with office.ground.database.write() as connection:
        connection.execute(update(Imagery).values(may_leave=False))
    with pytest.raises(LicenceError):
        office.carry_out(job.id)
    assert office.job(job.id).status == "failed"
    assert not office.vendor.jobs
    assert not office.vendor.files


def test_a_damaged_file_is_written_again_before_it_is_sent(office: Office) -> None:
    job = office.start()
    path = office.dataset.folder / "exports" / "openai" / "train.jsonl"
    path.write_bytes(b"{}")
    office.carry_out(job.id)
    is_right(office, job.id)


CHILD = """
import os
import sys

import openai

from maploop.database import open_database
from maploop.project import load_project
from maploop.tune.work import carry_out_job


def clients(parameters):
    client = openai.OpenAI(base_url=sys.argv[2], api_key=sys.argv[3], max_retries=0)
    retrieve = client.fine_tuning.jobs.retrieve
    def dying(job_id):
        job = retrieve(job_id)
        if job.status == "running":
            os._exit(9)
        return job
    client.fine_tuning.jobs.retrieve = dying
    return client

database = open_database()
with database.read() as connection:
    project = load_project(connection, "Town")
carry_out_job(database, project, int(sys.argv[1]), clients, wait=lambda _: None)
"""


def test_a_killed_process_loses_its_lease_at_once(office: Office, tmp_path: Path) -> None:
    job = office.start()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(job.id), office.vendor.url, "sk-loopback"],
        env={**os.environ, "MAPLOOP_DATABASE_URL": str(office.ground.database.engine.url)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    left = office.job(job.id)
    assert (left.status, left.at_work, left.remote_status) == ("running", False, "queued")
    office.carry_out(job.id)
    is_right(office, job.id)
