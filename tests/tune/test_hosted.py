"""A training at a server, from the confirmed plan to the registered model; and what people wish of it meanwhile."""

import pytest

from maploop.database import Database
from maploop.errors import ConflictError, InputError
from maploop.predict.chat.parameters import ChatParameters
from maploop.predict.models import add_model
from maploop.tune.jobs import list_jobs
from maploop.tune.records import cancel_job, pause_job, resume_job, waiting_jobs
from maploop.tune.register import register_checkpoint
from maploop.tune.work import start_job
from tests.tune.ground import ENOUGH_TO_TUNE, lay_ground
from tests.tune.hosted import BASE, Office, other
from tests.vendor import BASES, JobPlan, Vendor


def test_a_confirmed_plan_becomes_a_model_that_knows_where_it_comes_from(database: Database, vendor: Vendor) -> None:
    office = Office(lay_ground(database, splits=ENOUGH_TO_TUNE), vendor)
    vendor.moves_by_itself = True
    heard: list[float] = []
    job = office.carry_out(office.start().id, hear=lambda share, _: heard.append(share))
    assert (job.status, job.remote_status, job.model, job.error) == ("succeeded", "succeeded", "tuned", "")
    assert heard[-1] == 1.0
    (charge,) = vendor.bill.charges
    assert job.trained_tokens == charge.training_tokens
    assert job.cost == office.bill()
    assert job.cost_estimated == pytest.approx(job.cost, rel=0.2)
    assert (job.created_by, job.destination) == ("anna", vendor.url.removeprefix("http://").removesuffix("/v1"))

    (model,) = office.models()
    assert (model.name, model.backend, model.dataset_id) == ("tuned", "chat", office.dataset.id)
    parameters = ChatParameters.of(model.parameters)
    assert (parameters.base_url, parameters.key, parameters.dialect) == (vendor.url, "VENDOR_KEY", "openai")
    assert parameters.training["job"] == job.id
    assert parameters.training["cost"] == job.cost
    assert model.identifier in vendor.brains
    (remote,) = vendor.jobs.values()
    assert remote.row["seed"] == 7
    assert remote.row["hyperparameters"]["n_epochs"] == 3
    assert remote.row["metadata"]["maploop_dataset"] == office.dataset.id


def test_the_best_checkpoint_is_registered_and_a_person_may_choose_another(office: Office) -> None:
    job = office.carry_out(office.start().id)
    steps = {each.step: each for each in office.checkpoints(job.id)}
    assert sorted(steps) == [8, 16, 24]
    best = min(steps.values(), key=lambda each: each.metrics["full_valid_loss"])
    assert best.step == 16
    (model,) = office.models()
    assert model.identifier == best.identifier != job.result
    assert [each.model for each in steps.values()] == [None, "tuned", None]
    assert ChatParameters.of(model.parameters).training["metrics"] == best.metrics

    database, project = office.ground.database, office.ground.project
    with database.write() as connection:
        last = register_checkpoint(connection, project, job.id, steps[24].id)
        assert register_checkpoint(connection, project, job.id, steps[24].id) == last
        assert register_checkpoint(connection, project, job.id, steps[16].id) == model
    assert (last.name, last.identifier, last.dataset_id) == ("tuned-step-24", job.result, office.dataset.id)
    assert len(office.models()) == 2


def test_what_the_server_tells_is_kept_once_with_its_figures(office: Office) -> None:
    job = office.carry_out(office.start().id)
    events = office.events(job.id)
    told = [each.message for each in events]
    (remote,) = office.vendor.jobs.values()
    assert [each["message"] for each in remote.events] == [text for text in told if not text.startswith("Confirmed")]
    assert told[-1].startswith("Confirmed by anna: Send 12 examples with 12 pictures to 127.0.0.1:")
    losses = [each.metrics["train_loss"] for each in events if each.metrics]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 3


def test_nothing_is_sent_without_a_confirmation_of_this_very_plan(office: Office) -> None:
    plan = office.plan(name="tuned")
    database, project = office.ground.database, office.ground.project
    for given in (
        None,
        other(plan).confirmation,
        office.plan(name="tuned", base_url="http://localhost:9/v1").confirmation,
    ):
        with pytest.raises(ConflictError, match="What was confirmed is not what would be sent now"):
            start_job(database, project, plan, given, annotator="anna")
    with database.read() as connection:
        assert list_jobs(connection, project) == []
    assert not office.vendor.files
    assert {each.route for each in office.vendor.seen} == {"GET /v1/models/{id:path}"}


def test_confirming_the_same_plan_twice_starts_one_job(office: Office) -> None:
    plan = office.plan(name="tuned")
    assert office.start(plan).id == office.start(plan).id
    with office.ground.database.write() as connection:
        add_model(connection, office.ground.project, "tuned", "file")
    with pytest.raises(InputError, match="There is a model 'tuned'"):
        office.start(other(plan))


def test_a_job_that_is_at_work_is_left_to_its_worker(office: Office) -> None:
    job = office.start()

    def try_too() -> None:
        with pytest.raises(ConflictError, match="is in the hands of process"):
            office.carry_out(job.id)

    office.time.then = try_too
    assert office.carry_out(job.id).status == "succeeded"
    with pytest.raises(ConflictError, match="is succeeded: begin a new one"):
        office.carry_out(job.id)


def test_a_job_can_be_paused_and_resumed(office: Office) -> None:
    job = office.start()
    database, project = office.ground.database, office.ground.project
    seen: list[str] = []

    def wish() -> None:
        now = office.job(job.id)
        seen.append(now.status)
        with database.write() as connection:
            if now.remote_status == "running" and "paused" not in seen and now.wish is None:
                pause_job(connection, project, job.id)
            elif now.status == "paused" and now.wish is None and seen.count("paused") > 3:
                assert now.can_resume
                resume_job(connection, project, job.id)

    office.time.then = wish
    assert office.carry_out(job.id).status == "succeeded"
    assert "paused" in seen
    assert len(office.vendor.requests_to("POST /v1/fine_tuning/jobs/{id}/pause")) == 1
    assert len(office.vendor.requests_to("POST /v1/fine_tuning/jobs/{id}/resume")) == 1
    assert len(office.vendor.bill.charges) == 1


def test_cancelling_ends_it_at_the_server_too_and_there_is_no_model(office: Office) -> None:
    job = office.start()

    def wish() -> None:
        if office.job(job.id).remote_status == "running" and office.job(job.id).wish is None:
            with office.ground.database.write() as connection:
                cancel_job(connection, office.ground.project, job.id)

    office.time.then = wish
    ended = office.carry_out(job.id)
    assert (ended.status, ended.model, ended.can_resume) == ("cancelled", None, False)
    (remote,) = office.vendor.jobs.values()
    assert remote.row["status"] == "cancelled"
    assert (office.models(), office.vendor.bill.charges) == ([], [])
    with pytest.raises(ConflictError, match="is cancelled already"), office.ground.database.write() as connection:
        cancel_job(connection, office.ground.project, job.id)


def test_whoever_carries_it_out_can_cancel_it(office: Office) -> None:
    job = office.start()
    ended = office.carry_out(job.id, cancelled=lambda: office.job(job.id).remote_status == "running")
    assert ended.status == "cancelled"
    assert len(office.vendor.requests_to("POST /v1/fine_tuning/jobs/{id}/cancel")) == 1
    assert not office.vendor.bill.charges


def test_cancelling_before_anything_left_this_machine_needs_no_server(office: Office) -> None:
    job = office.start(in_app=True)
    assert job.status == "waiting"
    with office.ground.database.write() as connection:
        assert [each.job_id for each in waiting_jobs(connection)] == [job.id]
        assert cancel_job(connection, office.ground.project, job.id).status == "cancelled"
        assert waiting_jobs(connection) == []
    assert not office.vendor.files


def test_a_job_that_the_server_fails_says_why_and_costs_nothing(office: Office) -> None:
    office.vendor.job_plans = [JobPlan(fails="server_error", message="Out of <b>luck</b>\nand time.")]
    job = office.carry_out(office.start().id)
    assert (job.status, job.can_resume, job.model, job.cost) == ("failed", False, None, None)
    assert "(server_error: Out of <b>luck</b> and time)" in job.error
    assert office.models() == []


def test_a_tuned_model_of_the_project_is_a_base_and_becomes_the_parent(office: Office) -> None:
    first = office.carry_out(office.start().id)
    (parent,) = office.models()
    office.vendor.tunable.add(parent.identifier)
    plan = office.plan("tuned", name=None, base_url=None, key=None)
    assert (plan.base, plan.parent, plan.base_url, plan.key_name) == (
        parent.identifier, "tuned", office.vendor.url, "VENDOR_KEY",
    )  # fmt: skip
    assert plan.name == f"tuned-{office.dataset.id[:8]}"
    second = office.carry_out(office.start(plan).id)
    assert second.status == "succeeded"
    child = office.models()[-1]
    assert child.parent == "tuned"
    assert ChatParameters.of(child.parameters).training["job"] == second.id != first.id


def test_the_same_dataset_is_not_uploaded_for_a_second_training(office: Office) -> None:
    office.carry_out(office.start().id)
    again = office.plan(BASES[1], name="other")
    assert office.carry_out(office.start(again).id).status == "succeeded"
    assert len(office.vendor.requests_to("POST /v1/files")) == 2
    plan = office.plan(BASE, name="third")
    assert any(each.about == "again" and "Tuning job 1 is succeeded" in each.text for each in plan.checks)
