"""`/v1/batches`: validated, worked off at half price as the state is moved on, finished with output and error files."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.vendor.chat import completion, question_of
from tests.vendor.files import file_of, keep_file
from tests.vendor.http import body_of
from tests.vendor.state import BatchPlan, State
from tests.vendor.wire import Json, RefusedError, checked_metadata, known_fields, of_type, one_of, page, required

ENDPOINT = "/v1/chat/completions"
_OVER = ("completed", "failed", "expired", "cancelled")
_LINE_FIELDS = {"custom_id", "method", "url", "body"}


@dataclass
class BatchWork:
    """A batch as the vendor keeps it; `row` is what it shows."""

    row: Json
    plan: BatchPlan
    custom_ids: list[str] = field(default_factory=list)
    begun: int = 0
    output: list[Json] = field(default_factory=list)
    errors: list[Json] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return self.row["status"] in _OVER


def advance_batch(state: State, work: BatchWork) -> None:
    """One step: validating -> in_progress -> finalizing -> completed, or to another end."""
    row, plan = work.row, work.plan
    status = row["status"]
    if status == "validating":
        problems = [{"code": plan.fails, "line": plan.at, "message": plan.fails, "param": None}] if plan.fails else []
        problems = problems or list(_problems(state, work))
        if problems:
            row["errors"] = {"object": "list", "data": problems[:100]}
            _become(state, work, "failed")
            return
        row["request_counts"]["total"] = len(work.custom_ids)
        _become(state, work, "in_progress")
    elif status == "in_progress":
        _work_off(state, work)
        if plan.expires_after is not None and work.begun >= plan.expires_after:
            work.errors += [_expired(state, each) for each in work.custom_ids[work.begun :]]
            _finish(state, work, "expired")
        elif plan.cancelled_after is not None and work.begun >= plan.cancelled_after:
            _finish(state, work, "cancelled")
        elif work.begun == len(work.custom_ids):
            _become(state, work, "finalizing")
    elif status == "finalizing":
        _finish(state, work, "completed")
    elif status == "cancelling":
        _finish(state, work, "cancelled")


def _lines(state: State, work: BatchWork) -> Iterator[Any]:
    with state.path_of(work.row["input_file_id"]).open("rb") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                yield None


def _problems(state: State, work: BatchWork) -> Iterator[Json]:
    """What is wrong with the file; notes its custom_ids."""
    known: set[str] = set()
    models: set[str] = set()
    for number, line in enumerate(_lines(state, work), 1):

        def problem(code: str, message: str, param: str | None = None, number: int = number) -> Json:
            return {"code": code, "line": number, "message": message, "param": param}

        if not isinstance(line, dict):
            yield problem("invalid_json_line", "This line is not parseable as valid JSON.")
            continue
        if set(line) != _LINE_FIELDS:
            yield problem("invalid_request", f"A request has the fields {sorted(_LINE_FIELDS)} and no others.")
            continue
        if not isinstance(line["custom_id"], str) or not 1 <= len(line["custom_id"]) <= 512:
            yield problem("invalid_custom_id", "A custom_id is a string of 1 to 512 characters.", "custom_id")
        elif line["custom_id"] in known:
            yield problem("duplicate_custom_id", f"The custom_id {line['custom_id']} is there twice.", "custom_id")
        if line["method"] != "POST":
            yield problem("invalid_method", "The method must be POST.", "method")
        if line["url"] != work.row["endpoint"]:
            yield problem("mismatched_endpoint", "The url is not the endpoint of the batch.", "url")
        models.add(str((line["body"] or {}).get("model")))
        if len(models) > 1:
            yield problem("mismatched_model", "A batch asks one model.", "body.model")
        known.add(str(line["custom_id"]))
        work.custom_ids.append(str(line["custom_id"]))
    if len(work.custom_ids) > state.limits.batch_requests:
        message = f"The batch has more than {state.limits.batch_requests} requests."
        yield {"code": "too_many_tasks", "line": None, "message": message, "param": None}
    most = state.limits.enqueued_requests
    if most is not None and len(work.custom_ids) + _enqueued(state, work) > most:
        message = "Enqueued token limit reached. Please try again once some in_progress batches have been completed."
        yield {"code": "token_limit_exceeded", "line": None, "message": message, "param": None}


def _enqueued(state: State, work: BatchWork) -> int:
    others = [each for each in state.batches.values() if each is not work and each.row["status"] == "in_progress"]
    return sum(len(each.custom_ids) - each.begun for each in others)


def _work_off(state: State, work: BatchWork) -> None:
    end = len(work.custom_ids) if work.plan.pace is None else work.begun + work.plan.pace
    for ends in (work.plan.expires_after, work.plan.cancelled_after):
        end = end if ends is None else min(end, ends)
    for number, line in enumerate(_lines(state, work)):
        if work.begun <= number < end:
            _answer(state, work, line)
    work.begun = min(end, len(work.custom_ids))
    work.row["request_counts"].update(completed=len(work.output), failed=len(work.errors))


def _answer(state: State, work: BatchWork, line: Json) -> None:
    custom_id = line["custom_id"]
    request_id = state.clock.new_id("req-")
    try:
        question, tokens, before = question_of(state, line["body"], custom_id)
        fault = state.faults.for_question(question.picture, custom_id)
        if fault is not None and fault.change is None:
            status = fault.status or 500
            code = "rate_limit_exceeded" if status == 429 else "server_error"
            raise RefusedError(status, "The request failed.", code=code, kind="server_error")
        body = completion(state, question, tokens, before, fault, kind="batch", part_of=work.row["id"])
        status, into = 200, work.output
    except RefusedError as refused:
        status, body, into = refused.status, refused.body, work.errors
    response = {"status_code": status, "request_id": request_id, "body": body}
    into.append({"id": state.clock.new_id("batch_req_"), "custom_id": custom_id, "response": response, "error": None})


def _expired(state: State, custom_id: str) -> Json:
    message = "This request could not be executed before the completion window expired."
    error = {"code": "batch_expired", "message": message}
    return {"id": state.clock.new_id("batch_req_"), "custom_id": custom_id, "response": None, "error": error}


def _finish(state: State, work: BatchWork, status: str) -> None:
    """Write the files, in another order than asked, as the vendor does."""
    for lines, name, field_name in ((work.output, "output", "output_file_id"), (work.errors, "error", "error_file_id")):
        if lines:
            content = b"".join(json.dumps(each).encode() + b"\n" for each in reversed(lines))
            work.row[field_name] = keep_file(state, content, f"{work.row['id']}_{name}.jsonl", "batch_output")
    work.row["request_counts"].update(completed=len(work.output), failed=len(work.errors))
    used = [each["response"]["body"].get("usage") for each in work.output]
    inputs = sum(each["prompt_tokens"] for each in used if each)
    outputs = sum(each["completion_tokens"] for each in used if each)
    work.row["usage"] = {
        "input_tokens": inputs,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": outputs,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": inputs + outputs,
    }
    work.output, work.errors = [], []
    _become(state, work, status)


def _become(state: State, work: BatchWork, status: str) -> None:
    work.row["status"] = status
    work.row[f"{status}_at"] = state.clock.now()


def _work_of(state: State, request: Request) -> BatchWork:
    batch_id = request.path_params["id"]
    if batch_id not in state.batches:
        raise RefusedError(404, f"No batch found with id '{batch_id}'.", param="batch_id")
    work: BatchWork = state.batches[batch_id]
    return work


async def create(request: Request) -> Response:
    """POST /v1/batches"""
    state: State = request.app.state.vendor
    body = known_fields(
        await body_of(request), {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}
    )
    with state.lock:
        file_id = required(body, "input_file_id", str)
        one_of(required(body, "endpoint", str), (ENDPOINT,), "endpoint")
        one_of(required(body, "completion_window", str), ("24h",), "completion_window")
        metadata = checked_metadata(body)
        expiry = of_type(body, "output_expires_after", dict)
        if expiry is not None:
            known_fields(expiry, {"anchor", "seconds"}, "output_expires_after")
        if file_of(state, file_id)["purpose"] != "batch":
            raise RefusedError(400, "The file's purpose must be 'batch'.", code="invalid_value", param="input_file_id")
        now = state.clock.now()
        row: Json = {
            "id": state.clock.new_id("batch_"),
            "object": "batch",
            "endpoint": ENDPOINT,
            "errors": None,
            "input_file_id": file_id,
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + 86_400,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": metadata or None,
        }
        for name in ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"):
            row[f"{name}_at"] = None
        plan = state.batch_plans.pop(0) if state.batch_plans else BatchPlan()
        state.batches[row["id"]] = BatchWork(row, plan)
        return JSONResponse(row)


async def list_all(request: Request) -> Response:
    """GET /v1/batches"""
    state: State = request.app.state.vendor
    with state.lock:
        rows = [work.row for work in state.batches.values()]
        return JSONResponse(page(rows, request.query_params, set(), default=20, most=100))


async def retrieve(request: Request) -> Response:
    """GET /v1/batches/{id}"""
    state: State = request.app.state.vendor
    with state.lock:
        work = _work_of(state, request)
        response = JSONResponse(work.row)
        if state.moves_by_itself:
            advance_batch(state, work)
        return response


async def cancel(request: Request) -> Response:
    """POST /v1/batches/{id}/cancel"""
    state: State = request.app.state.vendor
    with state.lock:
        work = _work_of(state, request)
        if work.row["status"] not in ("validating", "in_progress", "finalizing"):
            raise RefusedError(409, f"Cannot cancel a batch with status '{work.row['status']}'.")
        _become(state, work, "cancelling")
        return JSONResponse(work.row)
