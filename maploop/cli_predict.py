"""`maploop predict`: a model at work on the tiles of a project."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maploop.cli_options import AsJson, ProjectName, Url
from maploop.cli_output import progress, say, say_json
from maploop.errors import InputError

if TYPE_CHECKING:
    from maploop.database import Database
    from maploop.predict.batch.records import BatchView
    from maploop.predict.choosing import TileChoice
    from maploop.predict.history import RunView
    from maploop.predict.models import ModelView
    from maploop.predict.run import RunProgress
    from maploop.project import ProjectView


def predict(
    project: ProjectName,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model that predicts.")],
    tiles: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most so many tiles, those most worth knowing.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All tiles with imagery.")] = False,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="Tiles nobody finished; this is the default.")
    ] = False,
    split: Annotated[str | None, typer.Option(metavar="SPLIT", help="All tiles of train, validation or test.")] = None,
    tile: Annotated[
        list[str] | None, typer.Option("--tile", metavar="Z/X/Y", help="This tile; may be given often.")
    ] = None,
    shots: Annotated[
        int | None, typer.Option(metavar="K", help="Show a chat model so many reviewed training tiles first.")
    ] = None,
    retrieve: Annotated[bool, typer.Option("--retrieve", help="Those that look most like the tile.")] = False,
    embedder: Annotated[
        str | None, typer.Option(metavar="NAME", help="By whose eyes they look alike; else light.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="USD", help="Stop before the run costs more, with all its resumptions.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(metavar="N", help="Requests at once; else 4.")] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="Ask a chat model in files: half the price, answered within a day.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Submit and collect batches without waiting; --resume goes on.")
    ] = False,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only say what a chat model would take.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also tiles that the model has predicted already.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the model's last unfinished run.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="End that run: cancel its batches, keep what they answered.")
    ] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Run a model over tiles; what it has predicted already is not asked again."""
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.imagery.tilemath import parse_tile  # noqa: PLC0415
    from maploop.predict.choosing import TileChoice, split_named  # noqa: PLC0415
    from maploop.predict.models import load_model  # noqa: PLC0415
    from maploop.predict.run import PredictReport  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    scopes = {"--all": every, "--unreviewed": unreviewed, "--split": split is not None, "--tile": bool(tile)}
    told = [name for name, given in scopes.items() if given]
    if len(told) > 1:
        msg = f"{' and '.join(told)} do not go together: choose one."
        raise InputError(msg)
    asked = {"shots": shots, "retrieve": retrieve or None, "embedder": embedder, "batch": batch or None}
    if (resume or cancel) and (
        told or tiles is not None or again or estimate or any(each is not None for each in asked.values())
    ):
        name = "--resume goes on" if resume else "--cancel ends the run"
        msg = f"{name} with the tiles and examples of the run: leave out what chooses others."
        raise InputError(msg)
    choice = TileChoice(
        "all" if every else "unreviewed",
        split_named(split) if split is not None else None,
        tiles,
        [parse_tile(each) for each in tile or ()],
    )
    parameters = {**asked, "budget": budget, "concurrency": concurrency}
    parameters = {name: value for name, value in parameters.items() if value is not None}
    database = existing_database(db)
    with database.read() as connection:
        view = load_project(connection, project)
        found = load_model(connection, view, model)
    if estimate:
        _say_estimate(database, view, found, choice, parameters, again=again, as_json=as_json)
        return
    run: RunView | None
    if resume or cancel:
        run, known = _resumed(database, view, found, parameters, waits=not no_wait, cancelled=cancel), 0
    else:
        run, known = _begun(database, view, found, choice, parameters, again=again, waits=not no_wait)
    batches = _batches(database, run)
    if as_json:
        told_of = {"batches": [each.to_json() for each in batches]} if batches else {}
        say_json({**PredictReport(run, known).to_json(), **told_of})
    else:
        _say_run(run, known)
        _say_batches(batches)


def _begun(
    database: "Database",
    project: "ProjectView",
    model: "ModelView",
    choice: "TileChoice",
    parameters: dict[str, Any],
    *,
    again: bool,
    waits: bool,
) -> "tuple[RunView | None, int]":
    """A new run, carried out, None when nothing was left to do; and how many tiles were known before."""
    from maploop.predict.registry import estimate_run, open_predictor, parameters_of_run  # noqa: PLC0415
    from maploop.predict.run import carry_out  # noqa: PLC0415
    from maploop.predict.runs import begin_run, remember  # noqa: PLC0415

    parameters = parameters_of_run(database, project, model, parameters)
    predictor = open_predictor(project, model, parameters, database=database, waits=waits)
    with database.write() as connection:
        begun = begin_run(
            connection,
            project,
            model,
            choice,
            prompt_hash=predictor.prompt_hash,
            parameters=parameters,
            again=again,
        )
    if begun.run_id is None:
        return None, begun.known
    if (expected := estimate_run(database, project, model, parameters, begun.tiles)) is not None:
        with database.write() as connection:
            remember(connection, begun.run_id, estimate=expected.to_json())
    with progress() as report:
        run = carry_out(database, project, begun.run_id, predictor, hear=_hearing(report))
    return run, begun.known


def _resumed(
    database: "Database",
    project: "ProjectView",
    model: "ModelView",
    changed: dict[str, Any],
    *,
    waits: bool,
    cancelled: bool,
) -> "RunView":
    """The last unfinished run, carried on, or only to its end; `changed` parameters are remembered."""
    from maploop.predict.history import last_unfinished  # noqa: PLC0415
    from maploop.predict.registry import open_predictor  # noqa: PLC0415
    from maploop.predict.run import carry_out  # noqa: PLC0415
    from maploop.predict.runs import remember  # noqa: PLC0415

    with database.read() as connection:
        run = last_unfinished(connection, project, model)
    predictor = open_predictor(project, model, {**run.parameters, **changed}, database=database, waits=waits)
    if changed:
        with database.write() as connection:
            remember(connection, run.id, **changed)
    with progress() as report:
        return carry_out(database, project, run.id, predictor, hear=_hearing(report), cancelled=lambda: cancelled)


def _hearing(report: Callable[[str], None]) -> "Callable[[RunProgress], None]":
    def hear(now: "RunProgress") -> None:
        used = now.usage
        tokens = used.input_tokens + used.cached_tokens + used.cache_write_tokens + used.output_tokens
        price = "" if used.cost is None else f", {used.cost:.4f} USD"
        cost = f", {tokens:,} tokens{price}" if tokens else ""
        report(f"{now.done + now.failed + round(now.under_way):,} of {now.tiles:,} tiles{cost}")

    return hear


def _say_estimate(
    database: "Database",
    project: "ProjectView",
    model: "ModelView",
    choice: "TileChoice",
    parameters: dict[str, Any],
    *,
    again: bool,
    as_json: bool,
) -> None:
    from maploop.predict.registry import estimate_run, parameters_of_run, question_hash  # noqa: PLC0415
    from maploop.predict.runs import plan_run  # noqa: PLC0415

    parameters = parameters_of_run(database, project, model, parameters)
    asked = question_hash(database, project, model, parameters)
    with database.read() as connection:
        planned = plan_run(connection, project, model, choice, prompt_hash=asked, again=again)
    expected = estimate_run(database, project, model, parameters, len(planned.tiles))
    if expected is None:
        msg = f"{model.name!r} is a {model.backend} model, which takes no tokens: run it."
        raise InputError(msg)
    if as_json:
        say_json({**expected.to_json(), "known": planned.known})
        return
    cost = "at an unknown price" if expected.cost is None else f"about {expected.cost:.2f} USD"
    most = "" if expected.most is None else f", {expected.most:.2f} USD at most"
    tokens = expected.input_tokens + expected.output_tokens
    say(f"{expected.tiles:,} tiles: about {tokens:,} tokens, {cost}{most}. {planned.known:,} were predicted before.")


def _batches(database: "Database", run: "RunView | None") -> "list[BatchView]":
    if run is None or not run.parameters.get("batch"):
        return []
    from maploop.predict.batch.records import batches_of  # noqa: PLC0415

    with database.read() as connection:
        return batches_of(connection, run.id)


def _say_batches(batches: "list[BatchView]") -> None:
    if at_work := [each for each in batches if each.is_open]:
        tiles = sum(each.requests for each in at_work)
        say(f"{len(at_work):,} batches with {tiles:,} tiles are at the server: --resume collects them.")


def _say_run(run: "RunView | None", known: int) -> None:
    before = f" {known:,} were predicted before; --again asks anew." if known else ""
    if run is None:
        say(f"Nothing to predict.{before}")
        return
    done = f"{run.done:,} of {run.tiles:,} tiles, {run.features:,} features"
    say(f"Run {run.id} of {run.model} {run.status}: {done}.{before}")
    if run.error:
        say(run.error)
    if run.failures:
        say(
            f"{run.failed:,} tiles failed: "
            + ", ".join(f"{count:,} {kind}" for kind, count in run.failures.items())
            + "."
        )
