"""Files and batches of the vendor: statuses, limits, output and error files, ends before the end."""

import io
import json
from typing import Any

import openai
import pytest
from openai.types import Batch, FileObject
from openai.types.chat import ChatCompletion
from pydantic import TypeAdapter

from tests.vendor import REFUSAL, RESET_AFTER, BatchPlan, Vendor, rate_limit
from tests.vendor.questions import a_body, a_picture, jsonl


def requests(count: int, **changes: Any) -> list[dict[str, Any]]:
    line = {"method": "POST", "url": "/v1/chat/completions"}
    return [{"custom_id": f"r-{n}", **line, "body": a_body(a_picture(n)), **changes} for n in range(count)]


def upload(vendor: Vendor, content: bytes, name: str = "in.jsonl", purpose: Any = "batch") -> FileObject:
    return vendor.client().files.create(file=(name, io.BytesIO(content)), purpose=purpose)


def submit(vendor: Vendor, lines: list[Any], **changes: Any) -> Batch:
    given: dict[str, Any] = {
        "input_file_id": upload(vendor, jsonl(lines)).id,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        **changes,
    }
    return vendor.client().batches.create(**given)


def ended(vendor: Vendor, batch: Batch) -> Batch:
    """The batch at its end, each status on the way held to the SDK's type."""
    for _ in range(20):
        batch = vendor.client().batches.retrieve(batch.id)
        TypeAdapter(Batch).validate_python(batch.to_dict())
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch
    raise AssertionError(batch.status)


def lines_of(vendor: Vendor, file_id: str | None) -> dict[str, Any]:
    if file_id is None:
        return {}
    rows = [json.loads(line) for line in vendor.client().files.content(file_id).iter_lines()]
    return {row["custom_id"]: row for row in rows}


def test_a_batch_goes_through_its_statuses_and_answers_every_request_at_half_price(vendor: Vendor) -> None:
    batch = submit(vendor, requests(3), metadata={"run": "1"})
    seen = [batch.status]
    while seen[-1] != "completed":
        seen.append(vendor.client().batches.retrieve(batch.id).status)
    assert seen == ["validating", "validating", "in_progress", "finalizing", "completed"]
    batch = ended(vendor, batch)
    assert batch.metadata == {"run": "1"}
    assert batch.request_counts is not None
    assert batch.request_counts.to_dict() == {"total": 3, "completed": 3, "failed": 0}
    answers = lines_of(vendor, batch.output_file_id)
    assert list(answers) == ["r-2", "r-1", "r-0"]
    for answer in answers.values():
        TypeAdapter(ChatCompletion).validate_python(answer["response"]["body"])
    assert [(each.kind, each.custom_id) for each in vendor.bill.charges] == [("batch", f"r-{n}") for n in range(3)]
    assert batch.error_file_id is None


def test_nothing_moves_until_it_is_told_when_that_is_wanted(vendor: Vendor) -> None:
    vendor.moves_by_itself = False
    batch = submit(vendor, requests(1))
    vendor.client().batches.retrieve(batch.id)
    assert vendor.client().batches.retrieve(batch.id).status == "validating"
    vendor.advance(3)
    assert vendor.client().batches.retrieve(batch.id).status == "completed"


def test_requests_that_fail_are_in_the_error_file(vendor: Vendor) -> None:
    vendor.faults.on_custom_id("r-1", rate_limit())
    vendor.faults.on_custom_id("r-2", REFUSAL)
    lines = requests(4)
    lines[3]["body"]["surprise"] = 1
    batch = ended(vendor, submit(vendor, lines))
    assert batch.status == "completed"
    errors = lines_of(vendor, batch.error_file_id)
    assert {each: row["response"]["status_code"] for each, row in errors.items()} == {"r-1": 429, "r-3": 400}
    answers = lines_of(vendor, batch.output_file_id)
    assert set(answers) == {"r-0", "r-2"}
    assert answers["r-2"]["response"]["body"]["choices"][0]["message"]["refusal"]
    assert len(vendor.bill.charges) == 2


def test_a_batch_that_expires_answers_in_part(vendor: Vendor) -> None:
    vendor.batch_plans = [BatchPlan(pace=1, expires_after=2)]
    batch = ended(vendor, submit(vendor, requests(4)))
    assert batch.status == "expired"
    assert set(lines_of(vendor, batch.output_file_id)) == {"r-0", "r-1"}
    assert {row["error"]["code"] for row in lines_of(vendor, batch.error_file_id).values()} == {"batch_expired"}


def test_a_cancelled_batch_keeps_what_was_answered(vendor: Vendor) -> None:
    vendor.batch_plans = [BatchPlan(pace=1)]
    batch = submit(vendor, requests(3))
    vendor.advance(2)
    assert vendor.client().batches.cancel(batch.id).status == "cancelling"
    batch = ended(vendor, batch)
    assert batch.status == "cancelled"
    assert set(lines_of(vendor, batch.output_file_id)) == {"r-0"}
    assert batch.error_file_id is None
    with pytest.raises(openai.ConflictError):
        vendor.client().batches.cancel(batch.id)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([*requests(1), *requests(1)], "duplicate_custom_id"),
        (requests(1, method="GET"), "invalid_method"),
        (requests(1, url="/v1/embeddings"), "mismatched_endpoint"),
        (requests(1, surprise=1), "invalid_request"),
        ([*requests(1), {**requests(2)[1], "body": a_body(model="gpt-4.1")}], "mismatched_model"),
        (["x"], "invalid_json_line"),
        (requests(4), "too_many_tasks"),
    ],
)
def test_a_file_that_the_vendor_would_not_take_fails_the_batch(vendor: Vendor, lines: list[Any], code: str) -> None:
    vendor.limits.batch_requests = 3
    batch = ended(vendor, submit(vendor, lines))
    assert batch.status == "failed"
    assert batch.errors is not None
    assert [each.code for each in batch.errors.data or []] == [code]
    assert not vendor.bill.charges


def test_too_much_at_once_fails_the_second_batch(vendor: Vendor) -> None:
    vendor.limits.enqueued_requests = 3
    vendor.batch_plans = [BatchPlan(pace=0)]
    submit(vendor, requests(2))
    vendor.advance()
    batch = ended(vendor, submit(vendor, requests(2)))
    assert batch.errors is not None
    assert [each.code for each in batch.errors.data or []] == ["token_limit_exceeded"]


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "/v1/embeddings"},
        {"completion_window": "1h"},
        {"extra_body": {"surprise": 1}},
        {"input_file_id": "file-none"},
        {"metadata": {"long": "x" * 513}},
    ],
)
def test_what_batches_refuse(vendor: Vendor, changes: dict[str, Any]) -> None:
    with pytest.raises(openai.APIStatusError):
        submit(vendor, requests(1), **changes)
    assert not vendor.batches


def test_batches_are_listed_newest_first_and_by_pages(vendor: Vendor) -> None:
    made = [submit(vendor, requests(1)).id for _ in range(5)]
    listed = [each.id for each in vendor.client().batches.list(limit=2)]
    assert listed == made[::-1]


def test_a_connection_cut_after_the_work_leaves_the_batch_behind(vendor: Vendor) -> None:
    vendor.faults.on_route("POST /v1/batches", RESET_AFTER)
    with pytest.raises(openai.APIConnectionError):
        submit(vendor, requests(1))
    assert len(list(vendor.client().batches.list())) == 1


def test_files_are_kept_listed_read_and_deleted(vendor: Vendor) -> None:
    first, second = upload(vendor, b"{}\n"), upload(vendor, b"[]\n", purpose="user_data")
    TypeAdapter(FileObject).validate_python(first.to_dict())
    client = vendor.client()
    assert client.files.retrieve(first.id).bytes == 3
    assert client.files.content(first.id).read() == b"{}\n"
    assert [each.id for each in client.files.list(purpose="batch")] == [first.id]
    assert [each.id for each in client.files.list()] == [second.id, first.id]
    assert client.files.delete(first.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.content(first.id)


@pytest.mark.parametrize(
    ("content", "name", "purpose"),
    [
        (b"", "a.jsonl", "batch"),
        (b"x", "a.txt", "batch"),
        (b"x", "a.txt", "fine-tune"),
        (b"x", "a.jsonl", "surprise"),
        (b"x" * 11, "a.jsonl", "batch"),
    ],
)
def test_files_that_are_refused(vendor: Vendor, content: bytes, name: str, purpose: str) -> None:
    vendor.limits.batch_bytes = 10
    with pytest.raises(openai.APIStatusError):
        upload(vendor, content, name, purpose)
    assert not vendor.files
