"""`/v1/fine_tuning/jobs`: what a job is made of, checked; and its routes."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.vendor.files import file_of
from tests.vendor.http import body_of
from tests.vendor.job_work import OVER, JobWork, advance_job, say
from tests.vendor.state import JobPlan, State
from tests.vendor.wire import Json, RefusedError, checked_metadata, known_fields, of_type, one_of, page, required

_FIELDS = {
    "model", "training_file", "validation_file", "hyperparameters", "integrations", "metadata", "method", "seed",
    "suffix",
}  # fmt: skip
_HYPERPARAMETERS = {
    "supervised": {"n_epochs", "batch_size", "learning_rate_multiplier"},
    "dpo": {"n_epochs", "batch_size", "learning_rate_multiplier", "beta"},
}


def _hyperparameters(given: Any, kind: str, where: str) -> Json:
    known_fields(given, _HYPERPARAMETERS[kind], where)
    for name, least, most, types in (
        ("n_epochs", 1, 50, (int,)),
        ("batch_size", 1, 256, (int,)),
        ("learning_rate_multiplier", 1e-9, 1e3, (int, float)),
        ("beta", 0, 2, (int, float)),
    ):
        if given.get(name) not in (None, "auto"):
            value = of_type(given, name, types, where)
            if not least <= value <= most:
                raise RefusedError(
                    400, f"Invalid '{where}.{name}': {value}.", code="invalid_value", param=f"{where}.{name}"
                )
    return dict(given)


def _method(body: Json) -> tuple[str, Json]:
    """Kind of tuning and its hyperparameters; the old place at the top is still taken. Raises RefusedError."""
    at_top = body.get("hyperparameters")
    method = of_type(body, "method", dict)
    if method is None:
        return "supervised", _hyperparameters(at_top or {}, "supervised", "hyperparameters")
    if at_top is not None:
        raise RefusedError(400, "Give 'method' or 'hyperparameters', not both.", param="hyperparameters")
    kind = one_of(required(method, "type", str, "method"), tuple(_HYPERPARAMETERS), "method.type")
    known_fields(method, {"type", kind}, "method")
    settings = known_fields(method.get(kind) or {}, {"hyperparameters"}, f"method.{kind}")
    return kind, _hyperparameters(settings.get("hyperparameters") or {}, kind, f"method.{kind}.hyperparameters")


def _checked(state: State, body: Any) -> None:
    known_fields(body, _FIELDS)
    model = required(body, "model", str)
    if not state.training_available:
        message = "Fine-tuning is no longer available to your organization. See the deprecations page."
        raise RefusedError(403, message, code="training_not_available", kind="invalid_request_error")
    if model not in state.tunable:
        message = f"Model {model} is not available for fine-tuning or does not exist."
        raise RefusedError(400, message, code="model_not_available", param="model")
    required(body, "training_file", str)
    for name in ("training_file", "validation_file"):
        file_id = of_type(body, name, str)
        if file_id is not None and (file_id not in state.files or file_of(state, file_id)["purpose"] != "fine-tune"):
            raise RefusedError(400, f"invalid {name}: {file_id}", code="invalid_file", param=name)
    if len(of_type(body, "suffix", str) or "") > 64:
        raise RefusedError(
            400, "Invalid 'suffix': at most 64 characters.", code="string_above_max_length", param="suffix"
        )
    seed = of_type(body, "seed", int)
    if seed is not None and not 0 <= seed < 2**31:
        raise RefusedError(400, "Invalid 'seed'.", code="invalid_value", param="seed")
    for index, each in enumerate(of_type(body, "integrations", list) or []):
        known_fields(each, {"type", "wandb"}, f"integrations[{index}]")
        one_of(each.get("type"), ("wandb",), f"integrations[{index}].type")


async def create(request: Request) -> Response:
    """POST /v1/fine_tuning/jobs"""
    state: State = request.app.state.vendor
    body = await body_of(request)
    with state.lock:
        _checked(state, body)
        metadata = checked_metadata(body)
        kind, hyperparameters = _method(body)
        chosen = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"} | hyperparameters
        row: Json = {
            "id": state.clock.new_id("ftjob-"),
            "object": "fine_tuning.job",
            "model": body["model"],
            "created_at": state.clock.now(),
            "finished_at": None,
            "fine_tuned_model": None,
            "organization_id": "org-loopback",
            "result_files": [],
            "status": "validating_files",
            "validation_file": body.get("validation_file"),
            "training_file": body["training_file"],
            "hyperparameters": {name: chosen[name] for name in ("n_epochs", "batch_size", "learning_rate_multiplier")},
            "trained_tokens": None,
            "error": None,
            "user_provided_suffix": body.get("suffix"),
            "seed": body["seed"] if body.get("seed") is not None else 42,
            "estimated_finish": None,
            "integrations": body.get("integrations") or [],
            "metadata": metadata or None,
            "method": {"type": kind, kind: {"hyperparameters": chosen}},
        }
        work = JobWork(row, state.job_plans.pop(0) if state.job_plans else JobPlan())
        state.jobs[row["id"]] = work
        say(state, work, f"Created fine-tuning job: {row['id']}")
        say(state, work, f"Validating training file: {row['training_file']}")
        return JSONResponse(row)


def _work_of(state: State, request: Request) -> JobWork:
    job_id = request.path_params["id"]
    if job_id not in state.jobs:
        message = f"Could not find fine tune: {job_id}"
        raise RefusedError(404, message, code="fine_tune_not_found", param="fine_tune_id")
    work: JobWork = state.jobs[job_id]
    return work


async def list_all(request: Request) -> Response:
    """GET /v1/fine_tuning/jobs"""
    state: State = request.app.state.vendor
    wanted = {key[9:-1]: value for key, value in request.query_params.items() if key.startswith("metadata[")}
    with state.lock:
        rows = [work.row for work in state.jobs.values()]
        rows = [row for row in rows if wanted.items() <= (row["metadata"] or {}).items()]
        known = [f"metadata[{name}]" for name in wanted]
        return JSONResponse(page(rows, request.query_params, known, default=20, most=100))


async def retrieve(request: Request) -> Response:
    """GET /v1/fine_tuning/jobs/{id}"""
    state: State = request.app.state.vendor
    with state.lock:
        work = _work_of(state, request)
        response = JSONResponse(work.row)
        if state.moves_by_itself:
            advance_job(state, work)
        return response


async def events(request: Request) -> Response:
    """GET /v1/fine_tuning/jobs/{id}/events"""
    state: State = request.app.state.vendor
    with state.lock:
        return JSONResponse(page(_work_of(state, request).events, request.query_params, set(), default=20, most=100))


async def checkpoints(request: Request) -> Response:
    """GET /v1/fine_tuning/jobs/{id}/checkpoints"""
    state: State = request.app.state.vendor
    with state.lock:
        shown = _work_of(state, request).checkpoints if _work_of(state, request).row["status"] == "succeeded" else []
        return JSONResponse(page(shown, request.query_params, set(), default=10, most=100))


async def cancel(request: Request) -> Response:
    """POST /v1/fine_tuning/jobs/{id}/cancel"""
    return _moved(request, "cancel", ("validating_files", "queued", "running", "paused"), "cancelled")


async def pause(request: Request) -> Response:
    """POST /v1/fine_tuning/jobs/{id}/pause"""
    return _moved(request, "pause", ("running",), "paused")


async def resume(request: Request) -> Response:
    """POST /v1/fine_tuning/jobs/{id}/resume"""
    return _moved(request, "resume", ("paused",), "queued")


def _moved(request: Request, verb: str, sources: tuple[str, ...], target: str) -> Response:
    state: State = request.app.state.vendor
    with state.lock:
        work = _work_of(state, request)
        if work.row["status"] not in sources:
            message = f"Job {work.row['id']} is {work.row['status']}: it cannot {verb}."
            raise RefusedError(400, message, code=f"invalid_{verb}", param="fine_tune_id")
        work.row["status"] = target
        if target in OVER:
            work.row["finished_at"] = state.clock.now()
        say(state, work, f"Fine-tuning job {target}")
        return JSONResponse(work.row)
