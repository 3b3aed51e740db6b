"""Every evaluation on the test split is kept: a split that is looked at to choose wears out, and that must be seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select

from db.models import Annotator, Model
from db.models import Evaluation as EvaluationRow
from maploop.compare.sidebyside import Comparison, Contender
from maploop.evaluate.answers import basis_json
from maploop.evaluate.metrics import Evaluation
from maploop.evaluate.report import as_json
from maploop.predict.models import load_model
from maploop.project import ProjectView

MANY_CHOICES = 20
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
    return _keep(connection, project, annotator_id, basis["model"], evaluation, basis, purpose)


def record_comparison(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    comparison: Comparison,
    purpose: Purpose = "look",
) -> list[int]:
    """Keep the evaluation of every model compared -> their ids; needs a write transaction."""
    return [
        _keep(connection, project, annotator_id, each.model_name, each.evaluation, _basis(comparison, each), purpose)
        for each in comparison.contenders
    ]


def list_evaluations(
    connection: Connection, project: ProjectView, model_name: str | None = None
) -> list[EvaluationView]:
    """Evaluations of a project, newest first."""
    query = (
        select(EvaluationRow.__table__, Model.name.label("model"), Annotator.name.label("made_by"))
        .join(Model, Model.id == EvaluationRow.model_id)
        .join(Annotator, Annotator.id == EvaluationRow.annotator_id)
        .where(EvaluationRow.project_id == project.id)
        .order_by(EvaluationRow.id.desc())
    )
    if model_name is not None:
        query = query.where(Model.name == model_name)
    return [
        EvaluationView(row.id, row.model, row.split, row.purpose, row.basis, row.result, row.made_by, row.made_at)
        for row in connection.execute(query)
    ]


def test_split_use(connection: Connection, project: ProjectView) -> TestSplitUse:
    """How worn the test split is."""
    rows = connection.execute(
        select(
            EvaluationRow.purpose,
            func.count().label("evaluations"),
            func.max(EvaluationRow.id).label("last"),
        )
        .where(EvaluationRow.project_id == project.id, EvaluationRow.split == "test")
        .group_by(EvaluationRow.purpose)
    ).all()
    models = connection.execute(
        select(func.count(EvaluationRow.model_id.distinct())).where(
            EvaluationRow.project_id == project.id, EvaluationRow.split == "test"
        )
    ).scalar_one()
    counts = {row.purpose: row.evaluations for row in rows}
    looks, choices = counts.get("look", 0), counts.get("choose", 0)
    newest = max((row.last for row in rows), default=None)
    last = connection.execute(select(EvaluationRow.made_at).where(EvaluationRow.id == newest)).scalar()
    return TestSplitUse(looks, choices, models, last, _told(looks, choices, models))


def tries_of(connection: Connection, project: ProjectView, comparison: Comparison) -> dict[str, int]:
    """By model but the first, how many candidates it is, against that one, on the test split: see below.

    Every model of the comparison counts, as all of them are measured with it.
    """
    if not comparison.whole:
        return {}
    first, *others = comparison.whole
    return {
        each.name: tries_on_test_split(connection, project, each, first, also=comparison.contenders) for each in others
    }


def tries_on_test_split(
    connection: Connection,
    project: ProjectView,
    candidate: Contender,
    current: Contender | None,
    *,
    also: Sequence[Contender] = (),
) -> int:
    """How many candidates were ever measured on the test split, this one counted and the current model left out.

    A model asked by another prompt is another candidate; the same one measured again is not. `also`: measured now.
    """
    rows = connection.execute(
        select(EvaluationRow.basis).where(EvaluationRow.project_id == project.id, EvaluationRow.split == "test")
    ).scalars()
    seen = {(basis["model"], tuple(basis.get("prompt_hashes", ()))) for basis in rows}
    seen |= {(each.model_name, each.prompt_hashes) for each in (candidate, *also)}
    if current is not None:
        seen.discard((current.model_name, current.prompt_hashes))
    return len(seen)


def _told(looks: int, choices: int, models: int) -> str:
    if not looks + choices:
        return "Nothing was evaluated on the test split yet."
    text = (
        f"{_count(models, 'model')} {'was' if models == 1 else 'were'} evaluated on the test split "
        f"{_count(looks + choices, 'time')}, {_count(choices, 'time')} of these to choose."
    )
    if choices > MANY_CHOICES:
        text += " Whoever chooses so often on the same tiles ends up fitting them: set new test tiles aside."
    return text


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _basis(comparison: Comparison, model: Contender) -> dict[str, Any]:
    """As `evaluate_model` tells it, and with whom the model was compared."""
    return {
        "project": comparison.project,
        "model": model.model_name,
        "name": model.name,
        "split": comparison.split,
        **({} if comparison.split else {"chosen_tiles": [str(tile) for tile in comparison.tiles]}),
        "runs": list(model.runs),
        "prompt_hashes": list(model.prompt_hashes),
        **basis_json(model.answers),
        **({} if model.score_cut is None else {"score_cut": model.score_cut}),
        "failures": dict(model.failures),
        "dataset": model.dataset_id,
        "compared_with": [name for name in comparison.names if name != model.name],
    }


def _keep(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    model_name: str,
    evaluation: Evaluation,
    basis: dict[str, Any],
    purpose: Purpose,
) -> int:
    return connection.execute(
        insert(EvaluationRow)
        .values(
            project_id=project.id,
            model_id=load_model(connection, project, model_name).id,
            annotator_id=annotator_id,
            split=basis["split"],
            purpose=purpose,
            basis=basis,
            result=as_json(evaluation),
        )
        .returning(EvaluationRow.id)
    ).scalar_one()
