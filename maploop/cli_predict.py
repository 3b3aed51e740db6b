"""`maploop predict`: a model at work on the tiles of a project."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from maploop.cli_options import AsJson, ProjectName, Url
from maploop.cli_output import listed, progress, say, say_json
from maploop.cli_spending import agree_to_spend, cost_in_words
from maploop.errors import InputError, LicenceError, MaploopError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from maploop.database import Database
    from maploop.predict.batch.records import BatchView
    from maploop.predict.choosing import TileChoice
    from maploop.predict.history import RunView
    from maploop.predict.models import ModelView
    from maploop.predict.predictor import Predictor
    from maploop.predict.run import RunProgress
    from maploop.predict.runs import PlannedRun, UnderWay
    from maploop.project import ProjectView

NOT_WHOLE: Final = 3
INTERRUPTED: Final = 130


def predict(
    project: ProjectName,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model that predicts; else the project's current one.")
    ] = None,
    tiles: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most so many tiles, those most worth knowing.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All tiles with imagery.")] = False,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="Tiles nobody finished; this is the default without --split.")
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT", help="Of train, validation or test: the finished tiles, unless --all or --unreviewed."
        ),
    ] = None,
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
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Agree to what is sent and spent without being asked: for pipelines.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also tiles that the model has predicted already.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the model's last unfinished run.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="End that run: cancel its batches, keep what they answered.")
    ] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Run a model over tiles; what it has predicted already is not asked again.

    Before a chat model is asked, destination, tiles and cost are named and have to be agreed to. Exit code 3: it was
    done, but not for all tiles.
    """
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.imagery.tilemath import parse_tile  # noqa: PLC0415
    from maploop.predict.choosing import TileChoice, split_named  # noqa: PLC0415
    from maploop.predict.models import load_model  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    if every and unreviewed:
        msg = "--all and --unreviewed do not go together: choose one."
        raise InputError(msg)
    scopes = {"--all": every, "--unreviewed": unreviewed, "--split": split is not None, "--tile": bool(tile)}
    told = [name for name, given in scopes.items() if given]
    if tile and len(told) > 1:
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
        "all" if every else "unreviewed" if unreviewed else None,
        split_named(split) if split is not None else None,
        tiles,
        [parse_tile(each) for each in tile or ()],
    )
    parameters = {**asked, "budget": budget, "concurrency": concurrency}
    parameters = {name: value for name, value in parameters.items() if value is not None}
    database = existing_database(db)
    with database.read() as connection:
        view = load_project(connection, project)
        found = _current(connection, view) if model is None else load_model(connection, view, model)
    if estimate:
        _say_estimate(database, view, found, choice, parameters, again=again, as_json=as_json)
        return
    request = Request(database, view, found, parameters, waits=not no_wait, agreed=yes)
    result = request.resume(cancelled=cancel) if resume or cancel else request.begin(choice, again=again)
    raise typer.Exit(_report(database, view, found, result, waits=not no_wait, as_json=as_json))


def _current(connection: "Connection", project: "ProjectView") -> "ModelView":
    """The project's current model. Raises InputError when none was promoted yet."""
    from maploop.compare.promotion import current_model  # noqa: PLC0415

    found = current_model(connection, project)
    if found is None:
        msg = f"{project.name!r} has no current model yet: name one by --model, or promote one."
        raise InputError(msg)
    return found


@dataclass(frozen=True)
class Result:
    """The outcome of a wish to predict.

    run         None when nothing was left to do
    known       tiles that were predicted before
    under_way   tiles that another run is at work on
    left_out    tiles that the model may not be shown, by reason
    """

    run: "RunView | None"
    known: int = 0
    under_way: "tuple[UnderWay, ...]" = ()
    left_out: dict[str, list[str]] = field(default_factory=dict)
    interrupted: bool = False


@dataclass(frozen=True)
class Request:
    """A wish to predict: a model with what the run is to ask for; `agreed`: to what is sent and spent."""

    database: "Database"
    project: "ProjectView"
    model: "ModelView"
    parameters: dict[str, Any]
    waits: bool
    agreed: bool

    def begin(self, choice: "TileChoice", *, again: bool) -> Result:
        """Plan a new run, have it agreed to, and carry it out. Raises MaploopError when nothing can be done."""
        from maploop.predict.registry import estimate_run, open_predictor, parameters_of_run  # noqa: PLC0415
        from maploop.predict.runs import begin_run, plan_run, remember  # noqa: PLC0415
        from maploop.predict.set_ups import find_set_up, set_up  # noqa: PLC0415

        database, project, model = self.database, self.project, self.model
        parameters = parameters_of_run(database, project, model, self.parameters)
        predictor = open_predictor(project, model, parameters, database=database, waits=self.waits)
        question = predictor.prompt_hash
        with database.read() as connection:
            shown = find_set_up(connection, project, model, parameters) or model
            planned = plan_run(connection, project, shown, choice, prompt_hash=question, again=again)
        _check_any(project, model, choice, planned)
        expected = estimate_run(database, project, model, parameters, len(planned.tiles))
        if planned.tiles:
            tiles = f"{len(planned.tiles):,} {choice.to_text()}"
            agree_to_spend(model, expected, parameters, tiles, agreed=self.agreed)
        with database.write() as connection:
            if planned.tiles:
                shown = set_up(connection, project, model, parameters)
            begun = begin_run(
                connection, project, shown, choice, prompt_hash=question, parameters=parameters, again=again
            )
            if begun.run_id is not None and expected is not None:
                remember(connection, begun.run_id, estimate=expected.to_json())
        result = Result(None) if begun.run_id is None else self._carry_out(begun.run_id, predictor)
        return replace(result, known=begun.known, under_way=begun.under_way, left_out=begun.left_out)

    def resume(self, *, cancelled: bool) -> Result:
        """Go on with the last unfinished run, or only bring it to its end; changed parameters are remembered."""
        from maploop.predict.history import last_unfinished  # noqa: PLC0415
        from maploop.predict.registry import estimate_run, open_predictor  # noqa: PLC0415
        from maploop.predict.runs import remember  # noqa: PLC0415

        database, project, model = self.database, self.project, self.model
        with database.read() as connection:
            run = last_unfinished(connection, project, model)
        parameters = {**run.parameters, **self.parameters}
        predictor = open_predictor(project, model, parameters, database=database, waits=self.waits)
        if not cancelled:
            expected = estimate_run(database, project, model, parameters, run.pending)
            tiles = f"{run.pending:,} tiles that run {run.id} left"
            agree_to_spend(model, expected, parameters, tiles, agreed=self.agreed)
        if self.parameters:
            with database.write() as connection:
                remember(connection, run.id, **self.parameters)
        return self._carry_out(run.id, predictor, cancelled=cancelled)

    def _carry_out(self, run_id: int, predictor: "Predictor", *, cancelled: bool = False) -> Result:
        """Carry a run out. Trouble after tiles were stored is told with the run, of which it is the `error`."""
        from maploop.predict.history import load_run  # noqa: PLC0415
        from maploop.predict.run import carry_out  # noqa: PLC0415

        interrupted = False
        try:
            with progress() as report:
                carry_out(
                    self.database,
                    self.project,
                    run_id,
                    predictor,
                    hear=_hearing(report),
                    cancelled=lambda: cancelled,
                )
        except KeyboardInterrupt:
            interrupted = True
        except MaploopError:
            with self.database.read() as connection:
                run = load_run(connection, self.project, run_id)
            if run.pending == run.tiles:
                raise
        with self.database.read() as connection:
            return Result(load_run(connection, self.project, run_id), interrupted=interrupted)


def _check_any(project: "ProjectView", model: "ModelView", choice: "TileChoice", planned: "PlannedRun") -> None:
    """Raises InputError when the choice has no tiles at all, LicenceError when none of them may be shown."""
    from maploop.predict.destination import server_of  # noqa: PLC0415

    if planned.tiles or planned.known or planned.under_way:
        return
    if planned.left_out:
        reasons = "; ".join(f"{reason} ({listed(tiles)})" for reason, tiles in planned.left_out.items())
        msg = (
            f"Nothing is sent to {server_of(model.backend, model.parameters)}: {reasons}. Import the imagery again "
            "with --leave if its terms do allow it, or use a model on this machine."
        )
        raise LicenceError(msg)
    remedy = "review some, or add --all" if choice.effective_scope == "finished" else "import imagery, or choose others"
    msg = f"{project.name!r} has no {choice.to_text()}: {remedy}."
    raise InputError(msg)


def _report(
    database: "Database", project: "ProjectView", model: "ModelView", result: Result, *, waits: bool, as_json: bool
) -> int:
    """Print the result -> the exit code."""
    from maploop.predict.history import dropped_features  # noqa: PLC0415
    from maploop.predict.run import PredictReport  # noqa: PLC0415

    run = result.run
    batches = _batches(database, run)
    at_server = sum(each.requests for each in batches if each.is_open)
    interrupted = result.interrupted or (waits and at_server > 0)  # only who interrupts it does not wait for batches
    dropped: dict[str, int] = {}
    if run is not None:
        with database.read() as connection:
            dropped = dropped_features(connection, run.id)
    resume = ""
    if run is not None and run.can_resume:
        resume = shlex.join(["maploop", "predict", project.name, "--model", model.name, "--resume"])
    if as_json:
        say_json(
            {
                **PredictReport(run, result.known).to_json(),
                **({"batches": [each.to_json() for each in batches]} if batches else {}),
                "dropped": dropped,
                "under_way": [each.to_json() for each in result.under_way],
                "left_out": result.left_out,
                "interrupted": interrupted,
                "resume": resume or None,
            }
        )
    else:
        _say_run(run, result, dropped)
        _say_batches(batches)
        if resume and not batches:
            say(f"To go on: {resume}")
    if interrupted:
        return INTERRUPTED
    if run is None:
        return NOT_WHOLE if result.under_way else 0
    left = run.pending - (0 if waits else min(at_server, run.pending))
    unusable = bool(dropped) and not run.features
    return NOT_WHOLE if run.failed or left or unusable or result.under_way else 0


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
    from maploop.predict.set_ups import find_set_up  # noqa: PLC0415

    parameters = parameters_of_run(database, project, model, parameters)
    asked = question_hash(database, project, model, parameters)
    with database.read() as connection:
        shown = find_set_up(connection, project, model, parameters) or model
        planned = plan_run(connection, project, shown, choice, prompt_hash=asked, again=again)
    expected = estimate_run(database, project, model, parameters, len(planned.tiles))
    if expected is None:
        msg = f"{model.name!r} is a {model.backend} model, which takes no tokens: run it."
        raise InputError(msg)
    if as_json:
        under_way = [each.to_json() for each in planned.under_way]
        told = {"known": planned.known, "under_way": under_way, "left_out": planned.left_out}
        say_json({**expected.to_json(), **told})
        return
    say(f"{expected.tiles:,} {choice.to_text()}: {cost_in_words(expected, parameters)}")
    if planned.known:
        say(f"{planned.known:,} were predicted before.")
    _say_not_asked(planned.under_way, planned.left_out)


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


def _say_not_asked(under_way: "Sequence[UnderWay]", left_out: Mapping[str, Sequence[str]]) -> None:
    for each in under_way:
        say(each.to_text())
    for reason, tiles in left_out.items():
        say(f"{len(tiles):,} tiles are left out, as {reason}: {listed(tiles)}.")


def _say_run(run: "RunView | None", result: Result, dropped: Mapping[str, int]) -> None:
    before = f" {result.known:,} were predicted before; --again asks anew." if result.known else ""
    if run is None:
        say(f"Nothing is left to predict.{before}")
        _say_not_asked(result.under_way, result.left_out)
        return
    done = f"{run.done:,} of {run.tiles:,} tiles, {run.features:,} features"
    say(f"Run {run.id} of {run.model} {run.status}: {done}.{before}")
    used = run.usage
    if tokens := used.input_tokens + used.cached_tokens + used.cache_write_tokens + used.output_tokens:
        cost = "at an unknown price" if used.cost is None else f"for {used.cost:.4f} USD"
        say(f"It took {tokens:,} tokens {cost}.")
    if run.error:
        say(run.error)
    if run.failures:
        say(
            f"{run.failed:,} tiles failed: "
            + ", ".join(f"{count:,} {kind}" for kind, count in run.failures.items())
            + "."
        )
    if dropped:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
        say(f"{'Left out of what' if run.features else 'Nothing can be used of what'} it answered: {reasons}.")
    _say_not_asked(result.under_way, result.left_out)
