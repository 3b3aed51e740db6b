"""The ledger: what was spent, by project, model and run; what was expected against what servers reported."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from db.models import Model, Project, Run, TuningJob
from maploop.predict.predictor import NOTHING_USED, Usage

ESTIMATE = "estimate"  # among a run's parameters: what it was expected to take, {"tokens": n, "cost": USD or None}


@dataclass(frozen=True)
class Entry:
    """One thing that is paid for, or done for nothing.

    what        run or tuning, with its number
    usage       as reported; its cost in USD is None where a price is unknown
    expected    tokens and USD as estimated before it began; None: it was not, or the price is unknown
    is_billed   whether what it costs stands already; a training is billed at its end
    """

    project: str
    model: str
    backend: str
    what: str
    status: str
    begun_at: datetime
    usage: Usage
    expected_tokens: int | None = None
    expected_cost: float | None = None
    is_billed: bool = True


@dataclass(frozen=True)
class Total:
    """What some entries come to. `cost` is of those whose price is known; `unpriced` counts the others."""

    names: tuple[str, ...]
    entries: int
    usage: Usage
    cost: float
    unpriced: int
    expected_cost: float | None


def ledger_of(connection: Connection) -> list[Entry]:
    """Every run in which a model was asked and every training, of all projects, newest first.

    Files of predictions cost nothing here.
    """
    entries = [*_runs(connection), *_trainings(connection)]
    return sorted(entries, key=lambda each: each.begun_at, reverse=True)


def _runs(connection: Connection) -> list[Entry]:
    rows = connection.execute(
        select(Run.__table__, Model.name.label("model"), Model.backend, Project.name.label("project"))
        .join(Model, Model.id == Run.model_id)
        .join(Project, Project.id == Run.project_id)
        .where(Model.backend != "file", Run.source == "")
    )
    return [
        Entry(
            project=row.project,
            model=row.model,
            backend=row.backend,
            what=f"run {row.id}",
            status=row.status,
            begun_at=row.started_at,
            usage=Usage(
                row.input_tokens, row.cached_tokens, row.cache_write_tokens, row.output_tokens, row.cost, row.seconds
            ),
            **_expected(row.parameters),
        )
        for row in rows
    ]


def _trainings(connection: Connection) -> list[Entry]:
    rows = connection.execute(
        select(TuningJob.__table__, Project.name.label("project")).join(Project, Project.id == TuningJob.project_id)
    )
    return [
        Entry(
            project=row.project,
            model=row.name,
            backend=row.trainer,
            what=f"training {row.id}",
            status=row.status,
            begun_at=row.created_at,
            usage=Usage(input_tokens=row.trained_tokens or 0, cost=row.cost),
            expected_tokens=row.preflight.get("billed_tokens"),
            expected_cost=row.cost_estimated if row.trainer != "local" else None,
            is_billed=row.cost is not None or row.finished_at is not None,
        )
        for row in rows
    ]


def _expected(parameters: dict[str, Any]) -> dict[str, Any]:
    estimate = parameters.get(ESTIMATE) or {}
    return {"expected_tokens": estimate.get("tokens"), "expected_cost": estimate.get("cost")}


def totals(entries: Iterable[Entry], names_of: Callable[[Entry], tuple[str, ...]]) -> list[Total]:
    """Entries summed up by the names that belong to them, in the order in which these come."""
    gathered: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        gathered.setdefault(names_of(entry), []).append(entry)
    return [total(some, *names) for names, some in gathered.items()]


def total(entries: list[Entry], *names: str) -> Total:
    """What entries come to."""
    expected = [each.expected_cost for each in entries if each.expected_cost is not None]
    return Total(
        names=names,
        entries=len(entries),
        usage=sum((each.usage for each in entries), NOTHING_USED),
        cost=sum(each.usage.cost or 0.0 for each in entries),
        unpriced=sum(each.is_billed and each.usage.cost is None for each in entries),
        expected_cost=sum(expected) if expected else None,
    )
