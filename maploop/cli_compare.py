"""`maploop compare` and `maploop promote`: is a model worth it, and which one is in charge."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maploop.cli_output import progress, say, say_json, say_lines
from maploop.errors import InputError

if TYPE_CHECKING:
    from maploop.compare.gate import Gate
    from maploop.compare.promotion import Promotion

ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]
Url = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="Database; else MAPLOOP_DATABASE_URL; else in the data folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def compare(
    project: ProjectName,
    models: Annotated[
        list[str],
        typer.Option("--model", metavar="NAME", help="A model, or NAME@RUN; others are held against the first."),
    ],
    split: Annotated[str, typer.Option(metavar="SPLIT", help="test, validation or train.")] = "test",
    tile: Annotated[
        list[str] | None, typer.Option("--tile", metavar="Z/X/Y", help="This tile instead; may be given often.")
    ] = None,
    volume: Annotated[int, typer.Option(metavar="N", help="Tiles to be mapped.")] = 10_000,
    wage: Annotated[float, typer.Option(metavar="X", help="USD an hour of a person who reviews.")] = 20.0,
    machine_hour: Annotated[float, typer.Option(metavar="X", help="USD an hour of the machine of local models.")] = 0.0,
    price: Annotated[
        list[str] | None, typer.Option(metavar="NAME=X", help="USD for 1,000 tiles of a model; else what runs cost.")
    ] = None,
    training: Annotated[
        list[str] | None, typer.Option(metavar="NAME=X", help="USD of making a model; else what is known.")
    ] = None,
    figure: Annotated[str, typer.Option(metavar="FIGURE", help="What quality is: f1, recall, ap50, ...")] = "f1",
    choose: Annotated[bool, typer.Option("--choose", help="Keep on record that this is to choose a model.")] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Hold models against each other on the same tiles, in quality and in money."""
    from maploop.compare.evaluations import record_comparison  # noqa: PLC0415
    from maploop.compare.money import Assumptions, weigh  # noqa: PLC0415
    from maploop.compare.report import comparison_as_json, comparison_as_text  # noqa: PLC0415
    from maploop.compare.sidebyside import FIGURE_NAMES, compare_models  # noqa: PLC0415
    from maploop.compare.spending import corrected_shares, measured_speeds  # noqa: PLC0415
    from maploop.database import open_database  # noqa: PLC0415
    from maploop.imagery.tilemath import parse_tile  # noqa: PLC0415
    from maploop.project import annotator_id, load_project  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    if figure not in FIGURE_NAMES:
        msg = f"{figure!r} is not a figure: use {', '.join(FIGURE_NAMES)}."
        raise InputError(msg)
    tiles = [parse_tile(each) for each in tile or ()]
    database = open_database(db)
    with progress() as report, database.read() as connection:
        report("Comparing")
        view = load_project(connection, project)
        assumptions = Assumptions(
            measured_speeds(connection, view),
            volume=volume,
            wage=wage,
            machine_hour=machine_hour,
            cost_per_1000=_amounts(price, models, "--price"),
            training=_amounts(training, models, "--training"),
            corrected=corrected_shares(connection, view),
            figure=figure,
        )
        comparison = compare_models(connection, view, models, split=split, tiles=tiles)
    economy = weigh(comparison, assumptions)
    with database.write() as connection:
        person = annotator_id(connection, get_settings().user)
        record_comparison(connection, view, person, comparison, "choose" if choose else "look")
    if as_json:
        say_json(comparison_as_json(comparison, economy))
    else:
        say_lines(comparison_as_text(comparison, economy))


def _amounts(texts: Sequence[str] | None, models: Sequence[str], option: str) -> dict[str, float]:
    """Read NAME=X, X in USD. Raises InputError."""
    found: dict[str, float] = {}
    for text in texts or ():
        name, separator, amount = text.rpartition("=")
        try:
            found[" ".join(name.split())] = float(amount)
        except ValueError:
            separator = ""
        if not separator or name not in models:
            msg = f"{text!r} does not fit {option}: write NAME=USD, of one of {', '.join(models)}."
            raise InputError(msg)
    return found


def promote(
    project: ProjectName,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The candidate.")] = None,
    overrule: Annotated[
        str | None, typer.Option(metavar="REASON", help="Promote it though the gate holds it back; the reason is kept.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Back to the model before the current one.")] = False,
    dry: Annotated[bool, typer.Option("--try", help="Only hold it to the gate; nothing is written.")] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make a model the project's current one, when it beats that on the test split by the project's rule.

    Without --model and --back: which model is the current one, and how it came to be. Exit code 1: held back.
    """
    from maploop.compare.promotion import go_back, promotions, try_candidate  # noqa: PLC0415
    from maploop.compare.promotion import promote as take_over  # noqa: PLC0415
    from maploop.database import open_database  # noqa: PLC0415
    from maploop.project import annotator_id, load_project  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    if (model is None and (overrule is not None or dry)) or (back and (model is not None or dry)):
        msg = "Name a candidate by --model, with --try or --overrule where wanted; or go --back, without one."
        raise InputError(msg)
    database = open_database(db)
    with database.read() as connection:
        view = load_project(connection, project)
        if model is None and not back:
            acts = promotions(connection, view)
            _say_promotions(acts, as_json=as_json)
            return
        trial = None if model is None else try_candidate(connection, view, model)
    if trial is not None and (dry or not (trial.gate.passed or overrule)):
        _say_gate(trial.gate, as_json=as_json)
        raise typer.Exit(0 if trial.gate.passed else 1)
    with database.write() as connection:
        person = annotator_id(connection, get_settings().user)
        if trial is None:
            act = go_back(connection, view, person, reason=overrule or "")
        else:
            act = take_over(connection, view, person, trial, reason=overrule or "")
    if as_json:
        say_json(_promotion(act))
    else:
        say(f"{act.model or 'No model'} is the current model of {project} now, in place of {act.previous or 'none'}.")


def _say_gate(gate: "Gate", *, as_json: bool) -> None:
    if as_json:
        say_json({"promoted": False, "passed": gate.passed, "text": gate.text(), "rule": gate.rule.text()})
        return
    say(gate.text())
    say(gate.rule.text())


def _say_promotions(acts: "Sequence[Promotion]", *, as_json: bool) -> None:
    current = acts[0].model if acts else None
    if as_json:
        say_json({"current": current, "promotions": [_promotion(each) for each in acts]})
        return
    say(f"Current model: {current or 'none was promoted yet'}.")
    for each in acts:
        reason = f" ({each.reason})" if each.reason else ""
        say(f"{each.made_at:%Y-%m-%d %H:%M} {each.made_by}: {each.act} {each.model or 'none'}{reason}")


def _promotion(act: "Promotion") -> dict[str, Any]:
    return {
        "promoted": act.act != "return",
        "act": act.act,
        "current": act.model,
        "previous": act.previous,
        "passed": act.passed,
        "reason": act.reason,
        "by": act.made_by,
        "at": act.made_at.isoformat(),
        "evidence": act.evidence,
    }
