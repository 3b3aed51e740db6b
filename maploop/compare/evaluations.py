"""Every evaluation on the test split is kept: a split that is looked at to choose wears out, and that must be seen."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from maploop.compare.sidebyside import Comparison
from maploop.evaluate.metrics import Evaluation
from maploop.project import ProjectView

Purpose = Literal["look", "choose"]


@dataclass(frozen=True)
class EvaluationView:
    """An evaluation that was made. `result` is what `maploop evaluate --json` prints, `basis` what it rests on."""

    id: int
    model: str
    split: str
    purpose: Purpose
    basis: dict[str, Any]
    result: dict[str, Any]
    made_by: str
    made_at: datetime


@dataclass(frozen=True)
class TestSplitUse:
    """How often the test split was looked at, and how often to choose a model; `text` says it in a sentence."""

    looks: int
    choices: int
    models: int
    last: datetime | None
    text: str


def record_evaluation(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    evaluation: Evaluation,
    basis: dict[str, Any],
    purpose: Purpose = "look",
) -> int:
    """Keep what `evaluate_model` answered -> its id; needs a write transaction."""
    raise NotImplementedError


def record_comparison(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    comparison: Comparison,
    purpose: Purpose = "look",
) -> list[int]:
    """Keep the evaluation of every model compared -> their ids; needs a write transaction."""
    raise NotImplementedError


def list_evaluations(
    connection: Connection, project: ProjectView, model_name: str | None = None
) -> list[EvaluationView]:
    """Evaluations of a project, newest first."""
    raise NotImplementedError


def test_split_use(connection: Connection, project: ProjectView) -> TestSplitUse:
    """How worn the test split is."""
    raise NotImplementedError
