"""`maploop predict`: models at work on a project."""

from typing import TYPE_CHECKING, Annotated

import typer

from maploop.cli_output import progress, say, say_json
from maploop.errors import InputError

if TYPE_CHECKING:
    from maploop.predict.history import RunView
    from maploop.predict.run import RunProgress

ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]
Url = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="Database; else MAPLOOP_DATABASE_URL; else in the data folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


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
    again: Annotated[bool, typer.Option("--again", help="Also tiles that the model has predicted already.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the model's last unfinished run.")] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Run a model over tiles; what it has predicted already is not asked again."""
    from maploop.database import open_database  # noqa: PLC0415
    from maploop.imagery.tilemath import parse_tile  # noqa: PLC0415
    from maploop.predict.choosing import TileChoice, split_named  # noqa: PLC0415
    from maploop.predict.history import last_unfinished  # noqa: PLC0415
    from maploop.predict.models import load_model  # noqa: PLC0415
    from maploop.predict.registry import open_predictor  # noqa: PLC0415
    from maploop.predict.run import PredictReport, carry_out, predict_tiles  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    scopes = {"--all": every, "--unreviewed": unreviewed, "--split": split is not None, "--tile": bool(tile)}
    told = [name for name, given in scopes.items() if given]
    if len(told) > 1:
        msg = f"{' and '.join(told)} do not go together: choose one."
        raise InputError(msg)
    if resume and (told or tiles is not None or again):
        msg = "--resume goes on with the tiles of the run: leave out what chooses others."
        raise InputError(msg)
    choice = TileChoice(
        "all" if every else "unreviewed",
        split_named(split) if split is not None else None,
        tiles,
        [parse_tile(each) for each in tile or ()],
    )
    database = open_database(db)
    with database.read() as connection:
        view = load_project(connection, project)
        found = load_model(connection, view, model)
        run = last_unfinished(connection, view, found) if resume else None
    predictor = open_predictor(view, found)
    with progress() as report:

        def hear(now: "RunProgress") -> None:
            report(f"{now.done + now.failed + round(now.under_way):,} of {now.tiles:,} tiles")

        if run is not None:
            answer = PredictReport(carry_out(database, view, run.id, predictor, hear=hear), 0)
        else:
            answer = predict_tiles(database, view, found, predictor, choice, again=again, hear=hear)
    if as_json:
        say_json(answer.to_json())
    else:
        _say_run(answer.run, answer.known)


def _say_run(run: "RunView | None", known: int) -> None:
    before = f" {known:,} were predicted before; --again asks anew." if known else ""
    if run is None:
        say(f"Nothing to predict.{before}")
        return
    done = f"{run.done:,} of {run.tiles:,} tiles, {run.features:,} features"
    say(f"Run {run.id} of {run.model} {run.status}: {done}.{before}")
    if run.failures:
        say(
            f"{run.failed:,} tiles failed: "
            + ", ".join(f"{count:,} {kind}" for kind, count in run.failures.items())
            + "."
        )
