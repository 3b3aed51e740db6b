"""`maploop evaluate`: a model against a project's test tiles, or a file of predictions against a file of truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from maploop.cli_options import AsJson, Url
from maploop.cli_output import progress, say, say_json, say_lines
from maploop.errors import InputError


def evaluate(
    project: Annotated[
        str | None, typer.Argument(metavar="PROJECT", help="The project's name; not needed for files.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model, by its newest word on each tile.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="test, validation or train.")] = "test",
    tile: Annotated[
        list[str] | None,
        typer.Option("--tile", metavar="Z/X/Y", help="This tile instead of a split; may be given often."),
    ] = None,
    run: Annotated[int | None, typer.Option(metavar="ID", help="One run of the model.")] = None,
    truth: Annotated[Path | None, typer.Option(metavar="FILE", help="What is there.")] = None,
    predictions: Annotated[Path | None, typer.Option(metavar="FILE", help="What was predicted.")] = None,
    class_name: Annotated[str | None, typer.Option("--class", metavar="NAME", help="The class of every row.")] = None,
    class_field: Annotated[
        str | None, typer.Option("--class-field", metavar="F", help="The field that names the class.")
    ] = None,
    score_field: Annotated[str | None, typer.Option(metavar="F", help="The field with scores, 0 to 1.")] = None,
    crs: Annotated[
        str | None, typer.Option("--crs", metavar="CRS", help="Of the files, in place of what they say: EPSG:32636.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The COCO file that lists the images of COCO results.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, metavar="PIXELS", help="The side of those images, without a list.")
    ] = None,
    iou: Annotated[float | None, typer.Option(help="Polygons match from there on; else the project's, or 0.5.")] = None,
    line_tolerance: Annotated[float | None, typer.Option(metavar="M", help="Metres; else the project's, or 3.")] = None,
    point_tolerance: Annotated[
        float | None, typer.Option(metavar="M", help="Metres; else the project's, or 5.")
    ] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Hold predictions against the truth: a model on a project's finished tiles, or one file against another."""
    from maploop.evaluate.matching import Rules  # noqa: PLC0415
    from maploop.evaluate.report import as_json as to_json  # noqa: PLC0415
    from maploop.evaluate.report import as_text  # noqa: PLC0415
    from maploop.imagery.tilemath import parse_tile  # noqa: PLC0415

    tiles = [parse_tile(each) for each in tile or ()]
    told = {"iou_threshold": iou, "line_tolerance_m": line_tolerance, "point_tolerance_m": point_tolerance}
    basis: dict[str, Any]
    if truth is not None or predictions is not None:
        from maploop.evaluate.files import evaluate_files  # noqa: PLC0415

        if truth is None or predictions is None:
            msg = f"Name both files: --{'truth' if truth is None else 'predictions'} is missing."
            raise InputError(msg)
        if project is not None or model is not None or run is not None or tiles:
            msg = "Files are compared without a project: leave out PROJECT, --model, --run and --tile, or the files."
            raise InputError(msg)
        rules = Rules(**{name: value for name, value in told.items() if value is not None})
        with progress() as report:
            evaluation, basis = evaluate_files(
                truth,
                predictions,
                rules,
                class_name=class_name,
                class_field=class_field,
                score_field=score_field,
                source_crs=crs,
                images=images,
                image_size=image_size,
                progress=report,
            )
    else:
        from maploop.compare.evaluations import record_evaluation  # noqa: PLC0415
        from maploop.database import existing_database  # noqa: PLC0415
        from maploop.dataset.datasets import measure_finished  # noqa: PLC0415
        from maploop.evaluate.runs import evaluate_model, rules_of  # noqa: PLC0415
        from maploop.project import annotator_id, load_project  # noqa: PLC0415
        from maploop.settings import get_settings  # noqa: PLC0415

        if project is None or model is None:
            msg = "Say what to evaluate: PROJECT and --model NAME, or --truth FILE and --predictions FILE."
            raise InputError(msg)
        if any(each is not None for each in (class_name, class_field, score_field, crs, images, image_size)):
            msg = (
                "--class, --class-field, --score-field, --crs and --images speak of files: leave them out for a model."
            )
            raise InputError(msg)
        database = existing_database(db)
        with database.read() as connection:
            view = load_project(connection, project)
        with progress() as report:
            measure_finished(database, view, report)
        with database.read() as connection:
            evaluation, basis = evaluate_model(
                connection, view, model, rules_of(view, **told), split=split, tiles=tiles, run_id=run
            )
        with database.write() as connection:
            record_evaluation(connection, view, annotator_id(connection, get_settings().user), evaluation, basis)
    if as_json:
        say_json({**to_json(evaluation), **basis})
        return
    say_lines(as_text(evaluation))
    _say_left_out(basis)


def _say_left_out(basis: Mapping[str, Any]) -> None:
    """Lines on what did not count, and why."""
    if failures := basis.get("failures"):
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in failures.items())
        say(f"Without a usable answer: {kinds}; what is there counts as missed.")
    if (
        (answers := basis.get("answers", {})).get("not_asked")
        or answers.get("no_pixels")
        or answers.get("licence_refused")
    ):
        say(
            f"Left out, as the model could not be asked there: {answers['not_asked']:,} tiles not asked, "
            f"{answers['no_pixels']:,} without pixels, {answers['licence_refused']:,} refused by licence."
        )
    if unseen := basis.get("truth_without_pixels"):
        say(f"Left out of the truth: {unseen:,} {'feature' if unseen == 1 else 'features'} on ground without pixels.")
    for side in ("truth", "predictions"):
        if skipped := basis.get(side, {}).get("skipped"):
            first = f"row {skipped[0]['row']}: {skipped[0]['reason']}"
            say(f"{len(skipped):,} rows of the {side} are left out, the first, {first}.")
