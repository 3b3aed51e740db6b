"""`maploop compare` and `maploop promote`: is a model worth it, and which one is in charge."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maploop.cli_options import AsJson, ProjectName, Url
from maploop.cli_output import progress, say, say_json, say_lines
from maploop.errors import InputError

if TYPE_CHECKING:
    from maploop.compare.money import Economy
    from maploop.compare.promotion import Promotion, Trial
    from maploop.compare.sidebyside import Comparison
    from maploop.database import Database
    from maploop.project import ProjectView


def compare(
    project: ProjectName,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="A model, or NAME@RUN; others are held against the first."),
    ] = None,
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
    cut: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=X",
            help="Count a model's predictions from this score on; 0: all. Else best: chosen on validation tiles.",
        ),
    ] = None,
    figure: Annotated[str, typer.Option(metavar="FIGURE", help="What quality is: f1, recall, ap50, ...")] = "f1",
    choose: Annotated[bool, typer.Option("--choose", help="Keep on record that this is to choose a model.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="One file with all of it, plots and pictures: .html or .md."),
    ] = None,
    evaluation: Annotated[
        list[int] | None,
        typer.Option(metavar="ID", help="Of a comparison that was kept: make it again, instead of --model."),
    ] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Hold models against each other on the same tiles, in quality and in money."""
    from maploop.compare.money import weigh  # noqa: PLC0415
    from maploop.compare.promotion import usual_assumptions  # noqa: PLC0415
    from maploop.compare.report import comparison_as_json, comparison_as_text  # noqa: PLC0415
    from maploop.compare.score_cuts import read_cuts  # noqa: PLC0415
    from maploop.compare.sidebyside import FIGURE_NAMES, compare_models  # noqa: PLC0415
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.dataset.datasets import measure_finished  # noqa: PLC0415
    from maploop.imagery.tilemath import parse_tile  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415
    from maploop.report.document import kind_of  # noqa: PLC0415
    from maploop.report.remaking import remade  # noqa: PLC0415

    if not models and not evaluation:
        msg = "Say what to compare: --model NAME, two or more, or --evaluation ID of a comparison that was kept."
        raise InputError(msg)
    if report is not None:
        kind_of(report)
    if figure not in FIGURE_NAMES:  # Assumptions refuse those of which more is not better
        msg = f"{figure!r} is not a figure: use {', '.join(FIGURE_NAMES)}."
        raise InputError(msg)
    tiles = [parse_tile(each) for each in tile or ()]
    database = existing_database(db)
    with database.read() as connection:
        view = load_project(connection, project)
    with progress() as hear:
        if not evaluation:
            measure_finished(database, view, hear)
    with progress() as hear, database.read() as connection:
        hear("Comparing")
        if evaluation:
            comparison = remade(connection, view, evaluation)
        else:
            names = [" ".join(each.split()) for each in models or ()]
            cuts = read_cuts(connection, view, cut or (), names)
            comparison = compare_models(connection, view, names, split=split, tiles=tiles, cuts=cuts)
        assumptions = replace(
            usual_assumptions(connection, view, comparison),
            volume=volume,
            wage=wage,
            machine_hour=machine_hour,
            cost_per_1000=_amounts(price, comparison.names, "--price"),
            training=_amounts(training, comparison.names, "--training"),
            figure=figure,
        )
    economy = weigh(comparison, assumptions)
    ids = list(evaluation or ()) or _keep(database, view, comparison, choose=choose)
    if report is not None:
        _write_report(database, view, report, comparison, economy, ids)
    if as_json:
        say_json({**comparison_as_json(comparison, economy), "evaluations": ids, "report": str(report or "") or None})
    else:
        say_lines(comparison_as_text(comparison, economy))
        say(f"Kept as evaluation {', '.join(map(str, ids))}.")
        if report is not None:
            say(f"Report: {report}")


def _keep(database: "Database", project: "ProjectView", comparison: "Comparison", *, choose: bool) -> list[int]:
    """Keep the evaluations -> their ids; a look that found nothing new has those of the one before."""
    from maploop.compare.evaluations import record_comparison  # noqa: PLC0415
    from maploop.project import annotator_id  # noqa: PLC0415
    from maploop.report.remaking import kept_ids  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    with database.write() as connection:
        person = annotator_id(connection, get_settings().user)
        if choose:
            return record_comparison(connection, project, person, comparison, "choose")
        return kept_ids(connection, project, person, comparison)


def _write_report(
    database: "Database",
    project: "ProjectView",
    path: Path,
    comparison: "Comparison",
    economy: "Economy",
    ids: Sequence[int],
) -> None:
    """Write the report. Raises InputError when the file cannot be."""
    from maploop.report.document import kind_of, written  # noqa: PLC0415
    from maploop.report.remaking import report_of  # noqa: PLC0415

    with database.read() as connection:
        document = report_of(connection, project, comparison, economy, ids)
    try:
        path.write_text(written(document, kind_of(path)), encoding="utf-8", newline="\n")
    except OSError as error:
        msg = f"{path} cannot be written: {(error.strerror or str(error)).lower()}. Use a folder that is there."
        raise InputError(msg) from error


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


def blind(
    project: ProjectName,
    tiles: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Make so many test tiles blind in all; they stay so.")
    ] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have test tiles annotated without any prediction shown: truth that favours no model.

    Without --tiles: how many are. Predictions on them are stored for evaluation and held out of review.
    """
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.predict.blind import blind_tiles, make_blind  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    database = existing_database(db)
    if tiles is None:
        with database.read() as connection:
            found = blind_tiles(connection, load_project(connection, project))
    else:
        with database.write() as connection:
            found = make_blind(connection, load_project(connection, project), tiles)
    if as_json:
        say_json(found.to_json())
    else:
        say(found.text())


def promote(
    project: ProjectName,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The candidate.")] = None,
    overrule: Annotated[
        str | None, typer.Option(metavar="REASON", help="Promote it though the gate holds it back; the reason is kept.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Back to the model before the current one.")] = False,
    dry: Annotated[bool, typer.Option("--try", help="Only hold it to the gate; the look is kept.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Promote it though something speaks against it, which is kept on record.")
    ] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make a model the project's current one, when it beats that on the test split by the project's rule.

    It says what that rests on. Where the gate lets a model through although another one or drawing by hand is better,
    it asks for --yes. Without --model and --back: which model is the current one, and how it came to be. Exit code 1:
    held back, or not confirmed.
    """
    from maploop.compare.promotion import go_back, promotions, try_candidate  # noqa: PLC0415
    from maploop.compare.promotion import promote as take_over  # noqa: PLC0415
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.project import annotator_id, load_project  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    if (model is None and (overrule is not None or dry)) or (back and (model is not None or dry)):
        msg = "Name a candidate by --model, with --try or --overrule where wanted; or go --back, without one."
        raise InputError(msg)
    database = existing_database(db)
    with database.read() as connection:
        view = load_project(connection, project)
        if model is None and not back:
            acts = promotions(connection, view)
            _say_promotions(acts, as_json=as_json)
            return
        trial = None if model is None else try_candidate(connection, view, model)
    if trial is not None and (dry or not (overrule or (trial.gate.passed and (yes or not trial.objections)))):
        _keep(database, view, trial.comparison, choose=False)
        _say_trial(trial, as_json=as_json)
        raise typer.Exit(0 if trial.gate.passed and (dry or not trial.objections) else 1)
    with database.write() as connection:
        person = annotator_id(connection, get_settings().user)
        if trial is None:
            act = go_back(connection, view, person, reason=overrule or "")
        else:
            act = take_over(connection, view, person, trial, reason=overrule or "", confirmed=yes)
    if as_json:
        say_json(_promotion(act))
    else:
        if trial is not None:
            say(trial.basis())
        say(f"{act.model or 'No model'} is the current model of {project} now, in place of {act.previous or 'none'}.")


def _say_trial(trial: "Trial", *, as_json: bool) -> None:
    gate = trial.gate
    if as_json:
        say_json(
            {
                "promoted": False,
                "passed": gate.passed,
                "objections": list(trial.objections),
                "text": gate.text(),
                "rule": gate.rule.text(),
                "basis": trial.basis(),
                "verdict": trial.economy.verdict,
            }
        )
        return
    say(gate.text())
    say(gate.rule.text())
    say(trial.basis())
    if trial.objections:
        say(trial.asks())
        if gate.passed:
            say("Nothing is promoted: add --yes to promote it all the same.")


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
