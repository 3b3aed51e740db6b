"""A tuning job's own work: it looks at its files, trains epoch by epoch, leaves a model, checkpoints and figures."""

import base64
from dataclasses import dataclass, field

from tests.vendor.bill import Charge
from tests.vendor.files import keep_file
from tests.vendor.state import JobPlan, State
from tests.vendor.training import by_heart, check_training_file, training_lines
from tests.vendor.wire import Json

OVER = ("succeeded", "failed", "cancelled")
AUTO_EPOCHS = 3
STEPS_AN_EPOCH = 8
CHECKPOINTS_KEPT = 3


@dataclass
class JobWork:
    """A job as the vendor keeps it; `row` is what it shows, `tokens` are those of one epoch."""

    row: Json
    plan: JobPlan
    events: list[Json] = field(default_factory=list)
    checkpoints: list[Json] = field(default_factory=list)
    tokens: int = 0
    epoch: int = 0

    @property
    def epochs(self) -> int:
        """How many are trained."""
        given = self.row["hyperparameters"]["n_epochs"]
        return AUTO_EPOCHS if given == "auto" else int(given)


def say(state: State, work: JobWork, message: str, *, level: str = "info", data: Json | None = None) -> None:
    """An event; one with figures when there are `data`."""
    work.events.append(
        {
            "id": state.clock.new_id("ftevent-"),
            "object": "fine_tuning.job.event",
            "created_at": state.clock.now(),
            "level": level,
            "message": message,
            "type": "metrics" if data else "message",
            "data": data or {},
        }
    )


def advance_job(state: State, work: JobWork) -> None:
    """One step: validating_files -> queued -> running -> an epoch each -> succeeded, or failed."""
    status, plan = work.row["status"], work.plan
    if status == "validating_files":
        problem = _problem(state, work)
        if problem or (plan.fails and not plan.while_training):
            _fail(state, work, "invalid_training_file" if problem else str(plan.fails), problem or plan.message)
            return
        say(state, work, "Files validated, moving job to queued state")
        work.row["status"] = "queued"
    elif status == "queued":
        say(state, work, "Fine-tuning job started")
        work.row["status"] = "running"
    elif status == "running":
        if plan.fails:
            _fail(state, work, plan.fails, plan.message)
        elif work.epoch < work.epochs:
            _train_epoch(state, work)
        else:
            _succeed(state, work)


def losses(epoch: int, epochs: int) -> tuple[float, float]:
    """Training and validation loss after an epoch: the latter is best before the last epoch, if there are three."""
    best = max(1, epochs - 1)
    return round(1.2 / epoch, 4), round(0.5 + 0.1 * abs(epoch - best), 4)


def _problem(state: State, work: JobWork) -> str | None:
    preference = work.row["method"]["type"] == "dpo"
    least = state.limits.training_lines[0]
    path = state.path_of(work.row["training_file"])
    _, work.tokens, problem = check_training_file(path, state.limits, least=least, preference=preference)
    if problem is None and work.row["validation_file"]:
        path = state.path_of(work.row["validation_file"])
        problem = check_training_file(path, state.limits, least=1, preference=preference)[2]
    return problem


def _train_epoch(state: State, work: JobWork) -> None:
    work.epoch += 1
    train, valid = losses(work.epoch, work.epochs)
    step = work.epoch * STEPS_AN_EPOCH
    figures: Json = {"step": step, "train_loss": train, "train_mean_token_accuracy": round(1 - train / 4, 4)}
    metrics: Json = {"step": step, "train_loss": train, "train_mean_token_accuracy": round(1 - train / 4, 4)}
    if work.row["validation_file"]:
        figures |= {"valid_loss": valid, "valid_mean_token_accuracy": round(1 - valid / 4, 4)}
        metrics |= figures | {"full_valid_loss": valid, "full_valid_mean_token_accuracy": round(1 - valid / 4, 4)}
    total = work.epochs * STEPS_AN_EPOCH
    say(state, work, f"Step {step}/{total}: training loss={train:.2f}", data={**figures, "total_steps": total})
    work.checkpoints.append(
        {
            "id": state.clock.new_id("ftckpt_"),
            "object": "fine_tuning.job.checkpoint",
            "created_at": state.clock.now(),
            "fine_tuned_model_checkpoint": f"{_name(work)}:ckpt-step-{step}",
            "fine_tuning_job_id": work.row["id"],
            "metrics": metrics,
            "step_number": step,
        }
    )


def _name(work: JobWork) -> str:
    suffix = (work.row["user_provided_suffix"] or "").lower().replace(" ", "-")
    return f"ft:{work.row['model']}:loopback:{suffix}:{work.row['id'][-8:]}"


def _succeed(state: State, work: JobWork) -> None:
    row = work.row
    del work.checkpoints[:-CHECKPOINTS_KEPT]
    name = _name(work)
    work.checkpoints[-1]["fine_tuned_model_checkpoint"] = name
    names = [each["fine_tuned_model_checkpoint"] for each in work.checkpoints]
    state.add_models(names, owner="loopback")
    lines = list(training_lines(state.path_of(row["training_file"])))
    before = state.brain_of(row["model"])
    if row["method"]["type"] == "supervised":
        brain = state.school(lines) if state.school else by_heart(lines, before)
        state.brains.update(dict.fromkeys(names, brain))
    row["trained_tokens"] = work.tokens * work.epochs
    state.bill.charges.append(Charge("training", row["model"], row["id"], training_tokens=row["trained_tokens"]))
    row["result_files"] = [keep_file(state, _figures(work), "step_metrics.csv", "fine-tune-results")]
    row["fine_tuned_model"], row["status"] = name, "succeeded"
    row["error"], row["finished_at"] = {}, state.clock.now()  # as the vendor does: empty, and yet not null
    say(state, work, f"New fine-tuned model created: {name}")
    say(state, work, "The job has successfully completed")


def _figures(work: JobWork) -> bytes:
    """The results as the vendor keeps them: a CSV file in base64."""
    rows = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"]
    for each in (event["data"] for event in work.events if event["type"] == "metrics"):
        valid = f"{each.get('valid_loss', '')},{each.get('valid_mean_token_accuracy', '')}"
        rows.append(f"{each['step']},{each['train_loss']},{each['train_mean_token_accuracy']},{valid}")
    return base64.b64encode("\n".join(rows).encode())


def _fail(state: State, work: JobWork, code: str, message: str) -> None:
    work.row["error"] = {"code": code, "message": message, "param": "training_file"}
    work.row["status"] = "failed"
    work.row["finished_at"] = state.clock.now()
    say(state, work, f"The job failed: {message}", level="error")
