"""The project's current model: who took over when, on what evidence, by whose word; and going back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select
from sqlalchemy.orm import aliased

from db.bulk import lock_project
from db.models import Annotator, Model
from db.models import Promotion as PromotionRow
from maploop.compare.evaluations import record_comparison
from maploop.compare.gate import Gate, GateRule, hold_to
from maploop.compare.report import difference_as_json, metric_as_json
from maploop.compare.sidebyside import Comparison, compare_models
from maploop.errors import ConflictError
from maploop.predict.models import ModelView, load_model
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
    told = project.settings
    return GateRule(told.promotion_metric, told.promotion_margin, told.promotion_confidence, told.promotion_class_loss)


def current_model(connection: Connection, project: ProjectView) -> ModelView | None:
    """The model that runs today, if one was ever promoted."""
    newest = _newest(connection, project)
    return None if newest is None or newest.model is None else load_model(connection, project, newest.model)


def try_candidate(connection: Connection, project: ProjectView, model_name: str) -> Trial:
    """Hold a candidate against the current model on the test split. Raises NotFoundError, ConflictError, InputError."""
    candidate = load_model(connection, project, model_name)
    current = current_model(connection, project)
    if current is not None and current.id == candidate.id:
        msg = f"{candidate.name!r} is the current model already."
        raise ConflictError(msg)
    names = [candidate.name] if current is None else [current.name, candidate.name]
    comparison = compare_models(connection, project, names)
    first = None if current is None else comparison.contender(current.name)
    return Trial(comparison, hold_to(rule_of(project), comparison.contender(candidate.name), first))


def promote(
    connection: Connection, project: ProjectView, annotator_id: int, trial: Trial, *, reason: str = ""
) -> Promotion:
    """Make the candidate the current model; needs a write transaction, and records the evaluations as `choose`.

    Raises ConflictError when the gate holds it back and no reason is written, or when another model took over since the
    trial.
    """
    lock_project(connection, project.id)
    current = current_model(connection, project)
    gate, reason = trial.gate, " ".join(reason.split())
    if (None if current is None else current.name) != gate.current:
        msg = f"{'No model' if current is None else repr(current.name)} is current by now: compare anew."
        raise ConflictError(msg)
    if not gate.passed and not reason:
        msg = f"{gate.text()} To overrule this, write a reason: it is kept."
        raise ConflictError(msg)
    evaluations = record_comparison(connection, project, annotator_id, trial.comparison, "choose")
    return _store(
        connection,
        project,
        annotator_id,
        "promote" if gate.passed else "overrule",
        load_model(connection, project, gate.candidate),
        current,
        gate.passed,
        reason,
        _evidence(trial, evaluations),
    )


def go_back(connection: Connection, project: ProjectView, annotator_id: int, *, reason: str = "") -> Promotion:
    """Make the model before the current one current again; needs a write transaction. Raises ConflictError."""
    lock_project(connection, project.id)
    undone = _standing(promotions(connection, project))
    if undone is None:
        msg = f"No model of {project.name!r} has taken over, so there is none to go back from."
        raise ConflictError(msg)
    before = None if undone.previous is None else load_model(connection, project, undone.previous)
    evidence = {"goes_back_on": undone.id}
    return _store(
        connection,
        project,
        annotator_id,
        "return",
        before,
        current_model(connection, project),
        True,
        " ".join(reason.split()),
        evidence,
    )


def going_back(connection: Connection, project: ProjectView) -> Promotion | None:
    """The promotion that `go_back` would undo: its `previous` model becomes the current one. None: there is none."""
    return _standing(promotions(connection, project))


def promotions(connection: Connection, project: ProjectView) -> list[Promotion]:
    """All changes, newest first."""
    return _load(connection, project)


def _standing(all_acts: Sequence[Promotion]) -> Promotion | None:
    """The newest promotion that nobody has gone back on: going back twice goes back two steps."""
    undone = {each.evidence.get("goes_back_on") for each in all_acts if each.act == "return"}
    return next((each for each in all_acts if each.act != "return" and each.id not in undone), None)


def _newest(connection: Connection, project: ProjectView) -> Promotion | None:
    return next(iter(_load(connection, project, 1)), None)


def _load(connection: Connection, project: ProjectView, most: int | None = None) -> list[Promotion]:
    model, previous = aliased(Model), aliased(Model)
    query = (
        select(
            PromotionRow.__table__,
            model.name.label("model"),
            previous.name.label("previous"),
            Annotator.name.label("made_by"),
        )
        .outerjoin(model, model.id == PromotionRow.model_id)
        .outerjoin(previous, previous.id == PromotionRow.previous_id)
        .join(Annotator, Annotator.id == PromotionRow.annotator_id)
        .where(PromotionRow.project_id == project.id)
        .order_by(PromotionRow.id.desc())
        .limit(most)
    )
    return [
        Promotion(
            id=row.id,
            act=row.act,
            model=row.model,
            previous=row.previous,
            passed=row.passed,
            reason=row.reason,
            evidence=row.evidence,
            made_by=row.made_by,
            made_at=row.made_at,
        )
        for row in connection.execute(query)
    ]


def _store(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    act: Act,
    model: ModelView | None,
    previous: ModelView | None,
    passed: bool,
    reason: str,
    evidence: dict[str, Any],
) -> Promotion:
    connection.execute(
        insert(PromotionRow).values(
            project_id=project.id,
            act=act,
            model_id=model.id if model else None,
            previous_id=previous.id if previous else None,
            annotator_id=annotator_id,
            passed=passed,
            reason=reason,
            evidence=evidence,
        )
    )
    return _load(connection, project, 1)[0]


def _evidence(trial: Trial, evaluations: list[int]) -> dict[str, Any]:
    """What the decision rests on, so that it can be looked up and made again."""
    gate, comparison = trial.gate, trial.comparison
    return {
        "rule": asdict(gate.rule),
        "rule_text": gate.rule.text(),
        "passed": gate.passed,
        "text": gate.text(),
        "checks": [asdict(check) for check in gate.checks],
        "difference": None if gate.difference is None else difference_as_json(gate.difference),
        "evaluations": evaluations,
        "tiles": len(comparison.tiles),
        "models": [
            {
                "model": each.name,
                "runs": list(each.runs),
                "prompt_hashes": list(each.prompt_hashes),
                "dataset": each.dataset_id,
                "figures": {name: metric_as_json(metric) for name, metric in each.evaluation.overall.figures.items()},
            }
            for each in comparison.contenders
        ],
    }
