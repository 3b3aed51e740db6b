"""`maploop threshold`: the score above which predictions are accepted unseen; applying such a rule, taking it back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from maploop.cli_options import AsJson, ProjectName, Url
from maploop.cli_output import say, say_json

if TYPE_CHECKING:
    from maploop.compare.reach import Proposal
    from maploop.compare.thresholds import RuleView

threshold_app = typer.Typer(
    help="Scores above which predictions are accepted without a look: recorded, and taken back at will.",
    rich_markup_mode=None,
)
ModelName = Annotated[str, typer.Option("--model", metavar="NAME", help="The model that predicts.")]
Precision = Annotated[float, typer.Option(metavar="P", help="The share that is to be right, 0 to 1.")]
Held = Annotated[float, typer.Option("--look-at", metavar="SHARE", help="The share that people still look at.")]


@threshold_app.command("show")
def show(
    project: ProjectName,
    model: ModelName,
    precision: Precision = 0.98,
    look_at: Held = 0.05,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """For each class the score that is sure enough by people's verdicts, and what a rule with it would do."""
    from maploop.compare.thresholds import proposals, reliabilities  # noqa: PLC0415
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    with existing_database(db).read() as connection:
        view = load_project(connection, project)
        found = proposals(connection, view, model, precision, held_share=look_at)
        reliability = reliabilities(connection, view, model)
    errors = {name: each.calibration_error for name, each in reliability.items()}
    if as_json:
        said = {each.class_name: _proposal(each) for each in found}
        for name, told in said.items():
            told["calibration_error"] = errors[name].value
        say_json({"model": model, "precision": precision, "classes": said})
        return
    for each in found:
        say(f"{each.class_name}: {_in_words(each)} Calibration error {errors[each.class_name].text()}.")


@threshold_app.command("apply")
def apply(
    project: ProjectName,
    model: ModelName,
    class_name: Annotated[str, typer.Option("--class", metavar="NAME", help="The class.")],
    precision: Precision = 0.98,
    look_at: Held = 0.05,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Accept what is above the score; never on test tiles, on tiles somebody holds, or on finished ones."""
    from maploop.compare.thresholds import apply_rule  # noqa: PLC0415
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.project import annotator_id, load_project  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    with existing_database(db).write() as connection:
        view = load_project(connection, project)
        person = annotator_id(connection, get_settings().user)
        rule = apply_rule(connection, view, person, model, class_name, precision, held_share=look_at)
    _say_rules([rule], as_json=as_json)


@threshold_app.command("withdraw")
def withdraw(
    project: ProjectName,
    rule: Annotated[int, typer.Option("--rule", metavar="ID", help="As list shows it.")],
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Take a rule back: what it accepted is undecided again, but for what people have decided anew since."""
    from maploop.compare.thresholds import withdraw_rule  # noqa: PLC0415
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.project import annotator_id, load_project  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    with existing_database(db).write() as connection:
        view = load_project(connection, project)
        undone = withdraw_rule(connection, view, annotator_id(connection, get_settings().user), rule)
    if as_json:
        say_json({"rule": rule, "undone": undone})
    else:
        say(f"Took rule {rule} back: {undone:,} decisions undone.")


@threshold_app.command("list")
def list_all(project: ProjectName, db: Url = None, as_json: AsJson = False) -> None:
    """All rules, what stands of them, and whether they still hold."""
    from maploop.compare.thresholds import list_rules  # noqa: PLC0415
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    with existing_database(db).read() as connection:
        rules = list_rules(connection, load_project(connection, project))
    _say_rules(rules, as_json=as_json)


def _proposal(each: "Proposal") -> dict[str, Any]:
    threshold, reach = each.threshold, each.reach
    return {
        "score": threshold.score,
        "precision": threshold.precision.value,
        "lower": threshold.lower,
        "n": threshold.precision.scored,
        "design_effect": threshold.effect,
        "method": threshold.method,
        "accepted": reach.accepted if reach else 0,
        "held": reach.held if reach else 0,
        "left": dict(reach.left) if reach else {},
        "seconds_saved": reach.seconds_saved if reach else 0.0,
    }


def _in_words(each: "Proposal") -> str:
    threshold, reach = each.threshold, each.reach
    if threshold.score is None or reach is None or threshold.lower is None:
        why = f" ({threshold.reason})" if threshold.reason else ""
        total = threshold.precision.total
        return f"no score is sure to be {100 * threshold.wanted:g} % right, by {total:,} verdicts{why}."
    left = "".join(f", {count:,} left alone ({reason})" for reason, count in reach.left.items())
    return (
        f"from {threshold.score:g} on, {threshold.precision.text()} right, at least {100 * threshold.lower:.1f} %; "
        f"{reach.accepted:,} to accept, {reach.held:,} to look at{left}."
    )


def _say_rules(rules: "list[RuleView]", *, as_json: bool) -> None:
    if as_json:
        say_json({"rules": [_rule(each) for each in rules]})
        return
    for each in rules:
        gone = f", taken back by {each.withdrawn_by}" if each.withdrawn_at else ""
        say(
            f"Rule {each.id}: {each.class_name} of {each.model} from {each.score:g} on, by {each.applied_by}{gone}; "
            f"{each.accepted:,} accepted, {each.standing:,} of them stand, {each.held:,} kept back. {each.drift.text}"
        )
    if not rules:
        say("No rule was applied yet.")


def _rule(each: "RuleView") -> dict[str, Any]:
    return {
        "rule": each.id,
        "model": each.model,
        "class": each.class_name,
        "score": each.score,
        "precision": each.wanted,
        "lower": each.lower,
        "accepted": each.accepted,
        "held": each.held,
        "standing": each.standing,
        "by": each.applied_by,
        "at": each.applied_at.isoformat(),
        "withdrawn_by": each.withdrawn_by,
        "withdrawn_at": each.withdrawn_at.isoformat() if each.withdrawn_at else None,
        "drift": {
            "looked_at": each.drift.looked_at.scored,
            "right": each.drift.looked_at.value,
            "waiting": each.drift.waiting,
            "drifted": each.drift.drifted,
            "text": each.drift.text,
        },
    }
