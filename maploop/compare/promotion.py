"""The project's current model: who took over when, on what evidence, by whose word; and going back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from maploop.compare.gate import Gate, GateRule
from maploop.compare.sidebyside import Comparison
from maploop.predict.models import ModelView
from maploop.project import ProjectView

Act = Literal["promote", "overrule", "return"]


@dataclass(frozen=True)
class Promotion:
    """A change of the current model, kept for ever.

    act         promote: the gate let it through; overrule: it did not, and `reason` says why all the same; return: back
                to the one before
    model       the current one from then on; None: none
    evidence    the gate, the rule, figures, runs, dataset and prompt hashes, as JSON
    """

    id: int
    act: Act
    model: str | None
    previous: str | None
    passed: bool
    reason: str
    evidence: dict[str, Any]
    made_by: str
    made_at: datetime


@dataclass(frozen=True)
class Trial:
    """A candidate held to the gate: what it was compared with, and what came out."""

    comparison: Comparison
    gate: Gate


def rule_of(project: ProjectView) -> GateRule:
    """The rule that the project's settings give."""
    raise NotImplementedError


def current_model(connection: Connection, project: ProjectView) -> ModelView | None:
    """The model that runs today, if one was ever promoted."""
    raise NotImplementedError


def try_candidate(connection: Connection, project: ProjectView, model_name: str) -> Trial:
    """Hold a candidate against the current model on the test split. Raises NotFoundError, ConflictError, InputError."""
    raise NotImplementedError


def promote(
    connection: Connection, project: ProjectView, annotator_id: int, trial: Trial, *, reason: str = ""
) -> Promotion:
    """Make the candidate the current model; needs a write transaction, and records the evaluations as `choose`.

    Raises ConflictError when the gate holds it back and no reason is written, or when another model took over since the
    trial.
    """
    raise NotImplementedError


def go_back(connection: Connection, project: ProjectView, annotator_id: int, *, reason: str = "") -> Promotion:
    """Make the model before the current one current again; needs a write transaction. Raises ConflictError."""
    raise NotImplementedError


def promotions(connection: Connection, project: ProjectView) -> list[Promotion]:
    """All changes, newest first."""
    raise NotImplementedError
