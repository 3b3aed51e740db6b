"""Tuning jobs of the vendor: statuses, figures, pages, refusals, and a model at the end that has learned something."""

import base64
import io
from typing import Any

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from pydantic import TypeAdapter

from tests.vendor import BASES, JobPlan, Vendor
from tests.vendor.questions import a_body, a_picture, a_training_line, data_url, jsonl

LINES = [a_training_line(a_picture(n), f'{{"features":[{n}]}}') for n in range(10)]
SETTINGS = {"n_epochs": 4, "batch_size": 1, "learning_rate_multiplier": 0.5}
SUPERVISED = {"type": "supervised", "supervised": {"hyperparameters": SETTINGS}}


def upload(vendor: Vendor, lines: list[Any]) -> str:
    return vendor.client().files.create(file=("train.jsonl", io.BytesIO(jsonl(lines))), purpose="fine-tune").id


def start(vendor: Vendor, lines: list[Any] = LINES, *, valid: bool = False, **changes: Any) -> FineTuningJob:
    given: dict[str, Any] = {"model": BASES[0], "training_file": upload(vendor, lines), "method": SUPERVISED, **changes}
    if valid:
        given["validation_file"] = upload(vendor, lines[:2])
    return vendor.client().fine_tuning.jobs.create(**given)


def checked(job: FineTuningJob) -> str:
    """Its status, after holding it to the SDK's type, in which a good end has no error and a pause is unknown."""
    plain = job.to_dict()
    if plain["error"] == {}:
        plain["error"] = None
    if plain["status"] == "paused":
        plain["status"] = "running"
    TypeAdapter(FineTuningJob).validate_python(plain)
    return job.status


def ended(vendor: Vendor, job: FineTuningJob) -> FineTuningJob:
    for _ in range(30):
        job = vendor.client().fine_tuning.jobs.retrieve(job.id)
        if checked(job) in ("succeeded", "failed", "cancelled"):
            return job
    raise AssertionError(job.status)


def test_a_job_trains_a_model_that_knows_its_examples(vendor: Vendor) -> None:
    vendor.brain = lambda _: "never seen"
    job = start(vendor, valid=True, suffix="round one", seed=7, metadata={"dataset": "d1"})
    assert checked(job) == "validating_files"
    job = ended(vendor, job)
    assert (job.status, job.seed, job.metadata) == ("succeeded", 7, {"dataset": "d1"})
    assert job.error is not None  # empty, and yet something
    assert job.fine_tuned_model is not None
    (charge,) = vendor.bill.charges
    assert charge.training_tokens == job.trained_tokens
    assert charge.training_tokens % 4 == 0
    client = vendor.client()
    known = client.chat.completions.create(**a_body(a_picture(3), model=job.fine_tuned_model))
    assert known.choices[0].message.content == '{"features":[3]}'
    new = client.chat.completions.create(**a_body(a_picture(99), model=job.fine_tuned_model))
    assert new.choices[0].message.content == "never seen"


def test_checkpoints_can_be_asked_and_the_best_is_not_the_last(vendor: Vendor) -> None:
    job = ended(vendor, start(vendor, valid=True))
    client = vendor.client()
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id, limit=2))
    for each in checkpoints:
        TypeAdapter(FineTuningJobCheckpoint).validate_python(each.to_dict())
    assert [each.step_number for each in checkpoints] == [32, 24, 16]
    best = min(checkpoints, key=lambda each: each.metrics.valid_loss or 0)
    assert best.step_number == 24
    client.chat.completions.create(**a_body(model=best.fine_tuned_model_checkpoint))
    figures = base64.b64decode(client.files.content(job.result_files[0]).read()).decode()
    assert len(figures.splitlines()) == 5


def test_events_come_newest_first_by_pages(vendor: Vendor) -> None:
    job = ended(vendor, start(vendor))
    events = list(vendor.client().fine_tuning.jobs.list_events(job.id, limit=3))
    for each in events:
        TypeAdapter(FineTuningJobEvent).validate_python(each.to_dict())
    assert events[0].message == "The job has successfully completed"
    assert events[-1].message.startswith("Created")
    assert len({each.id for each in events}) == len(events)
    assert [each.type for each in events].count("metrics") == 4


def test_a_job_can_be_paused_resumed_and_cancelled(vendor: Vendor) -> None:
    vendor.moves_by_itself = False
    job = start(vendor)
    jobs = vendor.client().fine_tuning.jobs
    with pytest.raises(openai.BadRequestError):
        jobs.pause(job.id)
    vendor.advance(3)
    assert checked(jobs.pause(job.id)) == "paused"
    vendor.advance(5)
    assert jobs.retrieve(job.id).to_dict()["status"] == "paused"
    assert checked(jobs.resume(job.id)) == "queued"
    vendor.advance()
    assert checked(jobs.cancel(job.id)) == "cancelled"
    vendor.advance(9)
    assert not vendor.bill.charges
    with pytest.raises(openai.BadRequestError):
        jobs.cancel(job.id)


def test_jobs_are_found_by_their_metadata(vendor: Vendor) -> None:
    start(vendor)
    wanted = start(vendor, metadata={"job": "5"})
    assert [each.id for each in vendor.client().fine_tuning.jobs.list(metadata={"job": "5"})] == [wanted.id]
    assert len(list(vendor.client().fine_tuning.jobs.list(limit=1))) == 2


def test_an_organisation_that_may_not_train_can_upload_and_no_more(vendor: Vendor) -> None:
    vendor.training_available = False
    with pytest.raises(openai.PermissionDeniedError) as caught:
        start(vendor)
    assert caught.value.code == "training_not_available"
    assert len(vendor.files) == 1


def test_the_old_place_of_hyperparameters_is_still_taken(vendor: Vendor) -> None:
    job = start(vendor, method=openai.omit, hyperparameters={"n_epochs": 1})
    assert job.hyperparameters.n_epochs == 1
    assert ended(vendor, job).status == "succeeded"


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "gpt-6-luna"},
        {"training_file": "file-none"},
        {"suffix": "x" * 65},
        {"seed": -1},
        {"extra_body": {"surprise": 1}},
        {"hyperparameters": {"n_epochs": 1}},
        {"method": {"type": "surprise"}},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"momentum": 1}}}},
        {"method": {"type": "supervised", "n_epochs": 1}},
        {"integrations": [{"type": "elsewhere"}]},
    ],
)
def test_what_jobs_refuse(vendor: Vendor, changes: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError):
        start(vendor, **changes)
    assert not vendor.jobs


def _spoilt(change: str) -> list[Any]:
    line = a_training_line(a_picture(1))
    question, answer = line["messages"]
    picture = question["content"][1]
    if change == "picture in an assistant turn":
        answer["content"] = [{"type": "text", "text": "x"}, picture]
    elif change == "eleven pictures":
        question["content"] += [picture] * 10
    elif change == "not RGB":
        picture["image_url"]["url"] = data_url(a_picture(1, mode="RGBA"))
    elif change == "a link":
        picture["image_url"]["url"] = "https://example.org/a.png"
    elif change == "no answer":
        line["messages"].pop()
    elif change == "an unknown field":
        line["surprise"] = 1
    else:
        return LINES[:9]
    return [*LINES, line]


@pytest.mark.parametrize(
    "change",
    [
        "picture in an assistant turn", "eleven pictures", "not RGB", "a link", "no answer", "an unknown field",
        "nine lines",
    ],
)  # fmt: skip
def test_a_file_that_the_vendor_would_not_take_fails_the_job(vendor: Vendor, change: str) -> None:
    job = ended(vendor, start(vendor, _spoilt(change)))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "invalid_training_file"
    assert not vendor.bill.charges


def test_preference_tuning_takes_no_pictures(vendor: Vendor) -> None:
    def lines(content: Any) -> list[Any]:
        said = [[{"role": "assistant", "content": each}] for each in ("good", "bad")]
        question = {"messages": [{"role": "user", "content": content}]}
        return [{"input": question, "preferred_output": said[0], "non_preferred_output": said[1]}] * 10

    dpo = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}
    assert ended(vendor, start(vendor, lines("text"), method=dpo)).status == "succeeded"
    pictures = a_body(a_picture(1))["messages"][0]["content"]
    assert ended(vendor, start(vendor, lines(pictures), method=dpo)).status == "failed"


def test_a_job_fails_by_plan(vendor: Vendor) -> None:
    vendor.job_plans = [JobPlan(fails="server_error"), JobPlan(fails="safety", while_training=False)]
    first, second = ended(vendor, start(vendor)), ended(vendor, start(vendor))
    assert [each.error.code for each in (first, second) if each.error] == ["server_error", "safety"]
    assert not vendor.bill.charges
