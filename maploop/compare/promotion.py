"""The project's current model: who took over when, on what evidence, by whose word; and going back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select
from sqlalchemy.orm import aliased

from db.bulk import lock_project
from db.models import Annotator, Model
from db.models import Promotion as PromotionRow
from maploop.compare.evaluations import record_comparison, tries_of, tries_on_test_split
from maploop.compare.gate import Gate, GateRule, hold_to
from maploop.compare.judgement import figure_name, judge
from maploop.compare.money import BY_HAND, Assumptions, Economy, weigh
from maploop.compare.report import difference_as_json, metric_as_json
from maploop.compare.score_cuts import cuts_in_use
from maploop.compare.sidebyside import Comparison, compare_models
from maploop.compare.spending import corrected_shares, measured_speeds
from maploop.compare.verdict import cut_notes, truth_notes
from maploop.compare.wording import counted
from maploop.errors import ConflictError, MaploopError
from maploop.predict.models import ModelView, list_models, load_model
from maploop.project import ProjectView

Act = Literal["promote", "overrule", "return"]
RIVALS = 5  # other models that a candidate is held against, beside the current one


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

    @property
    def score_cut(self) -> float | None:
        """The score from which the model's predictions count from then on; None: all of them."""
        cut = self.evidence.get("score_cut")
        return None if cut is None else float(cut)


@dataclass(frozen=True)
class Trial:
    """A candidate held to the gate: what it was compared with, and what came out.

    economy     of that comparison, with its verdict
    objections  sentences, without their full stops, of what speaks against it although the gate may let it through
    """

    comparison: Comparison
    gate: Gate
    economy: Economy
    objections: tuple[str, ...] = ()

    def basis(self) -> str:
        """In a sentence, the ground and the truth that it rests on."""
        tiles, candidate = len(self.comparison.tiles), self.comparison.contender(self.gate.candidate)
        figure = self.gate.rule.metric
        return (
            f"It rests on {counted(tiles, 'finished test tile')} in {counted(self.comparison.blocks, 'block')}, where "
            f"{candidate.name} {candidate.answers.text()} and has {figure_name(figure)} "
            f"{candidate.figure(figure).text(percent=False)}. "
            f"{' '.join([*cut_notes(self.comparison), *truth_notes(self.comparison)])}"
        )

    def asks(self) -> str:
        """The question for a person to confirm, in a sentence; empty where nothing speaks against it."""
        return f"Against it speaks: {'; '.join(self.objections)}." if self.objections else ""


def rule_of(project: ProjectView) -> GateRule:
    """The rule that the project's settings give."""
    told = project.settings
    return GateRule(
        told.promotion_metric,
        told.promotion_margin,
        told.promotion_confidence,
        told.promotion_class_loss,
        told.promotion_blocks,
    )


def current_model(connection: Connection, project: ProjectView) -> ModelView | None:
    """The model that runs today, if one was ever promoted."""
    newest = _newest(connection, project)
    return None if newest is None or newest.model is None else load_model(connection, project, newest.model)


def try_candidate(
    connection: Connection, project: ProjectView, model_name: str, assumptions: Assumptions | None = None
) -> Trial:
    """Hold a candidate against the current model on the test split, and against what else could be used in its place.

    Under `assumptions`, else the usual ones: see `usual_assumptions`. Raises NotFoundError, ConflictError, InputError.
    Keep the evaluations of a trial that is not followed by `promote` (`report.remaking.kept_ids`): it was a look.
    """
    candidate = load_model(connection, project, model_name)
    current = current_model(connection, project)
    if current is not None and current.id == candidate.id:
        msg = f"{candidate.name!r} is the current model already."
        raise ConflictError(msg)
    names = [candidate.name] if current is None else [current.name, candidate.name]
    cuts = cuts_in_use(connection, project, names)
    comparison = compare_models(connection, project, names, cuts=cuts)
    first = None if current is None else comparison.contender(current.name)
    contender = comparison.contender(candidate.name)
    gate = hold_to(rule_of(project), contender, first, tries_on_test_split(connection, project, contender, first))
    usual = assumptions or usual_assumptions(connection, project)
    economy = weigh(comparison, replace(usual, tries=tries_of(connection, project, comparison)))
    objections = [
        *_objections_of_money(economy, gate),
        *_objections_of_quality(connection, project, names, candidate.name, cuts, economy.assumptions),
    ]
    return Trial(comparison, gate, economy, tuple(objections))


def usual_assumptions(
    connection: Connection, project: ProjectView, comparison: Comparison | None = None
) -> Assumptions:
    """The assumptions before anybody changes them: people as measured, the project's rule and margin.

    For the verdict of a comparison also how many candidates its models are on the test split, as the gate counts them.
    """
    return Assumptions(
        measured_speeds(connection, project),
        corrected=corrected_shares(connection, project),
        margin=project.settings.equivalence_margin,
        rule=rule_of(project),
        tries={} if comparison is None else tries_of(connection, project, comparison),
    )


def _objections_of_money(economy: Economy, gate: Gate) -> Iterator[str]:
    """Name the alternative that costs less than the candidate beyond chance: drawing by hand, or the current model."""
    if economy.run == BY_HAND or (
        gate.passed and gate.current is not None and economy.run not in (None, gate.candidate)
    ):
        yield f"the comparison says: {economy.verdict.rstrip('.')}"


def _objections_of_quality(
    connection: Connection,
    project: ProjectView,
    names: Sequence[str],
    candidate: str,
    cuts: Mapping[str, float],
    assumptions: Assumptions,
) -> Iterator[str]:
    """Other models of the project, the newest few, that are better than the candidate beyond chance."""
    others = [each.name for each in reversed(list_models(connection, project)) if each.name not in names]
    for other in others[:RIVALS]:
        try:
            rivals = [other, candidate]
            comparison = compare_models(
                connection, project, rivals, cuts=cuts_in_use(connection, project, [other]) | dict(cuts)
            )
        except MaploopError:  # it has no run, or none of these tiles
            continue
        judged = judge(comparison.difference(other, candidate, assumptions.rule.metric), assumptions.margin)
        if judged.relation == "worse":
            yield judged.text()


def promote(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    trial: Trial,
    *,
    reason: str = "",
    confirmed: bool = False,
) -> Promotion:
    """Make the candidate the current model; needs a write transaction, and records the evaluations as `choose`.

    Raises ConflictError when the gate holds it back and no reason is written, when something speaks against it and that
    was neither `confirmed` nor answered by a reason, or when another model took over since the trial.
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
    if trial.objections and not (confirmed or reason):
        msg = f"{trial.asks()} Confirm that {gate.candidate} is to take over all the same."
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
    acts = promotions(connection, project)
    undone = _standing(acts)
    if undone is None:
        msg = f"No model of {project.name!r} has taken over, so there is none to go back from."
        raise ConflictError(msg)
    before = None if undone.previous is None else load_model(connection, project, undone.previous)
    cut = next((each.score_cut for each in acts if each.act != "return" and each.model == undone.previous), None)
    evidence = {"goes_back_on": undone.id, "score_cut": cut}
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
        "objections": list(trial.objections),
        "verdict": trial.economy.verdict,
        "score_cut": comparison.contender(gate.candidate).score_cut,
        "evaluations": evaluations,
        "tiles": len(comparison.tiles),
        "blocks": comparison.blocks,
        "models": [
            {
                "model": each.name,
                "runs": list(each.runs),
                "prompt_hashes": list(each.prompt_hashes),
                "dataset": each.dataset_id,
                "answers": each.answers.to_json(),
                "score_cut": each.score_cut,
                "figures": {name: metric_as_json(metric) for name, metric in each.evaluation.overall.figures.items()},
            }
            for each in comparison.contenders
        ],
    }
