"""The command line, for pipelines: one line on stderr and exit code 2 for bad input, JSON on stdout when asked.

Heavy imports wait until a command needs them, so that `maploop --help` answers at once.
"""

import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maploop.cli_compare import blind, compare, promote
from maploop.cli_evaluate import evaluate
from maploop.cli_import import area as import_area
from maploop.cli_import import list_of_imports, undo
from maploop.cli_models import model_app
from maploop.cli_options import AsJson, ProjectName, Url
from maploop.cli_output import fail, progress, say_export, say_import, say_json, say_status
from maploop.cli_predict import predict
from maploop.cli_project import set_settings, show
from maploop.cli_store import backup, restore, upgrade, verify
from maploop.cli_threshold import threshold_app
from maploop.cli_tuning import tune, tuning_app
from maploop.errors import InputError, MaploopError

if TYPE_CHECKING:
    from maploop.database import Database
    from maploop.project import ProjectView

BAD_INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="maploop",
    help="Closes the loop between a vision model that draws maps and the people who know better.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
project_app = typer.Typer(help="Projects and their classes.", rich_markup_mode=None)
import_app = typer.Typer(
    help="Imagery, predictions, known truth and the area; what was imported, and taking it back.", rich_markup_mode=None
)
app.add_typer(project_app, name="project")
project_app.command("set")(set_settings)
project_app.command("show")(show)
app.add_typer(import_app, name="import")
import_app.command("area")(import_area)
import_app.command("list")(list_of_imports)
import_app.command("undo")(undo)
app.add_typer(threshold_app, name="threshold")
app.command("blind")(blind)
app.command("compare")(compare)
app.add_typer(model_app, name="model")
app.command("evaluate")(evaluate)
app.command("predict")(predict)
app.command("promote")(promote)
app.command("tune")(tune)
app.command("backup")(backup)
app.command("restore")(restore)
app.command("verify")(verify)
app.command("upgrade")(upgrade)
app.add_typer(tuning_app, name="tuning")

File = Annotated[Path, typer.Argument(metavar="FILE", help="GeoJSON, GeoPackage, GeoParquet, Shapefile, COCO, ...")]
ClassName = Annotated[str | None, typer.Option("--class", metavar="NAME", help="The class of every row.")]
ClassField = Annotated[str | None, typer.Option("--class-field", metavar="F", help="The field that names the class.")]
Crs = Annotated[str | None, typer.Option("--crs", metavar="CRS", help="In place of what the file says: EPSG:32636.")]
OutsideImagery = Annotated[
    bool, typer.Option("--outside-imagery", help="Also when the project has imagery and none of the file lies on it.")
]
Layer = Annotated[str | None, typer.Option("--layer", metavar="NAME", help="One layer of a GeoPackage or zip.")]
Images = Annotated[
    Path | None, typer.Option("--images", metavar="FILE", help="The COCO file that lists the images of COCO results.")
]
ImageSize = Annotated[
    int | None, typer.Option("--image-size", min=1, metavar="PIXELS", help="The side of those images, without a list.")
]


@project_app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The project's name.")],
    classes: Annotated[
        list[str],
        typer.Option("--class", metavar="NAME:TYPE", help="A class: building:polygon, road:line, well:point."),
    ],
    zoom: Annotated[int, typer.Option(help="Working zoom: the size of a tile on the ground.")] = 19,
    seed: Annotated[str | None, typer.Option(metavar="TEXT", help="What the split is drawn from; else random.")] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make a project with its classes, in order: the first nine get a digit key."""
    from maploop.database import open_database  # noqa: PLC0415
    from maploop.project import create_project, parse_class  # noqa: PLC0415

    parsed = [parse_class(each) for each in classes]
    with open_database(db).write() as connection:
        project = create_project(connection, name, parsed, zoom=zoom, seed=seed)
    if as_json:
        types = project.geometry_types
        say_json({"project": project.name, "zoom": project.zoom, "seed": project.seed, "classes": types})
    else:
        typer.echo(f"Created project {project.name!r} at zoom {project.zoom}.")


@import_app.command("imagery")
def imagery(
    project: ProjectName,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="GeoTIFF, folder of tiles, XYZ template or WMS URL.")],
    licence: Annotated[str | None, typer.Option(metavar="TEXT", help="Under which terms the imagery is used.")] = None,
    attribution: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the map shows; else the file's.")
    ] = None,
    training: Annotated[
        bool | None, typer.Option("--training/--no-training", help="Whether the terms allow training on it.")
    ] = None,
    leave: Annotated[
        bool | None,
        typer.Option(
            "--leave/--no-leave",
            help="Whether the terms allow sending pictures to other parties' servers; else as --training.",
        ),
    ] = None,
    bounds: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Degrees: only tiles there; a server's tiles need it.")
    ] = None,
    max_zoom: Annotated[
        int | None,
        typer.Option(min=0, max=24, metavar="Z", help="The deepest zoom of a server's tiles; else as it turns out."),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(metavar="xyz|tms|zyx", help="How a folder of tiles is named; else by what the project covers."),
    ] = None,
    tms: Annotated[bool, typer.Option("--tms", help="The same as --scheme tms: rows count from the south.")] = False,
    crs: Annotated[
        str | None, typer.Option(metavar="CRS", help="Of a GeoTIFF, in place of what it says: EPSG:32636.")
    ] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="Numbers of a GeoTIFF's bands to show; else found by name.")
    ] = None,
    stretch: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="Values shown as black and white; else the 2nd and 98th in 100."),
    ] = None,
    nodata: Annotated[float | None, typer.Option(metavar="V", help="The value of pixels that hold nothing.")] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Fetch a few tiles of a server first, and refuse if none comes.")
    ] = True,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Refer to imagery where it lies and make its tiles; the same source again refreshes it."""
    from maploop.imagery.raster_options import parse_raster_options  # noqa: PLC0415
    from maploop.imagery.register import parse_bounds, parse_scheme, register_imagery  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    raster = parse_raster_options(crs, bands, stretch, nodata)
    area = parse_bounds(bounds) if bounds is not None else None
    database, view = _project(db, project)
    with progress() as report:
        answer = register_imagery(
            database,
            view,
            source,
            licence=licence,
            attribution=attribution,
            may_train=training,
            may_leave=leave,
            bounds=area,
            max_zoom=max_zoom,
            scheme=parse_scheme("tms" if tms else scheme),
            raster=raster,
            check=check,
            annotator=get_settings().user,
            progress=report,
        )
    say_import(answer, as_json=as_json)


@import_app.command("predictions")
def predictions(
    project: ProjectName,
    file: File,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model that predicted them; made when new.")],
    class_name: ClassName = None,
    class_field: ClassField = None,
    score_field: Annotated[str | None, typer.Option(metavar="F", help="The field with scores, 0 to 1.")] = None,
    crs: Crs = None,
    layer: Layer = None,
    images: Images = None,
    image_size: ImageSize = None,
    again: Annotated[bool, typer.Option("--again", help="Also when the model has this very file already.")] = False,
    area: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Polygons of the ground that the model looked at.")
    ] = None,
    outside_imagery: OutsideImagery = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Import a model's predictions: what was rejected or confirmed before arrives so."""
    from maploop.predict.file import import_predictions  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415
    from maploop.vectors.area import read_area  # noqa: PLC0415

    ground = read_area(area) if area is not None else None
    database, view = _project(db, project)
    with progress() as report:
        answer = import_predictions(
            database,
            view,
            file,
            model_name=model,
            class_name=class_name,
            class_field=class_field,
            score_field=score_field,
            source_crs=crs,
            layer=layer,
            images=str(images) if images else None,
            image_size=image_size,
            again=again,
            area=ground,
            annotator=get_settings().user,
            outside_imagery=outside_imagery,
            apart=True,
            progress=report,
        )
    say_import(answer, as_json=as_json)


@import_app.command("annotations")
def annotations(
    project: ProjectName,
    file: File,
    class_name: ClassName = None,
    class_field: ClassField = None,
    crs: Crs = None,
    layer: Layer = None,
    area: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Polygons within which the truth is complete, and nowhere else.")
    ] = None,
    complete_all: Annotated[
        bool, typer.Option("--complete-all", help="Also tiles with imagery in the file's extent that it leaves empty.")
    ] = False,
    outside_imagery: OutsideImagery = False,
    annotator: Annotated[str | None, typer.Option(metavar="NAME", help="Who says so; else MAPLOOP_USER.")] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Import known truth: annotations, and complete tiles where it covers them wholly."""
    from maploop.review.truth import import_annotations  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415
    from maploop.vectors.area import read_area  # noqa: PLC0415

    ground = read_area(area) if area is not None else None
    database, view = _project(db, project)
    with progress() as report:
        answer = import_annotations(
            database,
            view,
            file,
            annotator=get_settings().user if annotator is None else annotator,
            class_name=class_name,
            class_field=class_field,
            source_crs=crs,
            layer=layer,
            area=ground,
            complete_all=complete_all,
            outside_imagery=outside_imagery,
            apart=True,
            progress=report,
        )
    say_import(answer, as_json=as_json)


@app.command("status")
def status(project: ProjectName, db: Url = None, as_json: AsJson = False) -> None:
    """Tiles by status, decisions by verdict."""
    from maploop.status import status_of  # noqa: PLC0415

    database, view = _project(db, project)
    with database.read() as connection:
        answer = status_of(connection, view)
    if as_json:
        say_json(answer)
    else:
        say_status(answer)


@app.command("export")
def export(
    project: ProjectName,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="openai, preference, coco, yolo, geojson, ...")
    ],
    out: Annotated[Path, typer.Option(metavar="PATH", help="A folder; or a file, for formats of one file.")],
    split: Annotated[str | None, typer.Option(metavar="SPLIT", help="Only train, validation or test.")] = None,
    tiles: Annotated[
        str, typer.Option(metavar="WHICH", help="complete, or approved: only what a reviewer has approved.")
    ] = "complete",
    dataset: Annotated[str | None, typer.Option(metavar="ID", help="An earlier dataset instead of a new one.")] = None,
    with_images: Annotated[bool, typer.Option("--images", help="Pictures too, in formats that need none.")] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Freeze a dataset of finished tiles and write it: the same dataset gives the same bytes."""
    from maploop.dataset.datasets import freeze, load_dataset  # noqa: PLC0415
    from maploop.dataset.export import check_request  # noqa: PLC0415
    from maploop.dataset.export import export as write  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    check_request(form, out, split)  # before anything is frozen
    database, view = _project(db, project)
    with progress() as report:

        def tell(done: int, total: int, text: str) -> None:
            report(f"{text} {done:,}/{total:,}")

        if dataset is None:
            frozen = freeze(database, view, tiles=tiles, annotator=get_settings().user, progress=tell)
        else:
            frozen = load_dataset(database, dataset)
        if frozen.project_id != view.id:
            msg = f"Dataset {dataset!r} is of another project than {project!r}."
            raise InputError(msg)
        answer = write(database, frozen.id, form, out, split=split, with_images=with_images, progress=tell).to_json()
    if as_json:
        say_json(answer)
    else:
        say_export(answer)


@app.command("serve")
def serve(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Else MAPLOOP_PORT, else 8501.")] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option("--host", metavar="NAME", help="A name that a proxy on this machine reaches it by; repeatable."),
    ] = None,
    db: Url = None,
) -> None:
    """Open the app on this machine, with the same settings wherever it is started."""
    import maploop  # noqa: PLC0415
    from maploop.api.serve_command import serve_command  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    script = Path(maploop.__file__).parents[1] / "app.py"
    if not script.is_file():
        msg = f"{script} is missing: install Maploop anew."
        raise InputError(msg)
    environment = dict(os.environ)
    if db is not None:
        environment["MAPLOOP_DATABASE_URL"] = db
    command = serve_command(script, port or get_settings().port, hosts or ())
    os.execve(sys.executable, command, environment)  # noqa: S606  no shell; signals reach the server itself


def _project(db: str | None, name: str) -> "tuple[Database, ProjectView]":
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    database = existing_database(db)
    with database.read() as connection:
        return database, load_project(connection, name)


def _check_text(arguments: list[str]) -> None:
    """Arguments end up in tables and messages: what is no UTF-8 cannot. Raises InputError."""
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            msg = f"{argument[:80]!r} is not UTF-8 text: rename it."
            raise InputError(msg)


def run(arguments: list[str]) -> int:
    """Do what the arguments say -> the exit code: 0, 2 after bad input, 3 when not whole, 130 when interrupted."""
    try:
        _check_text(arguments)
        outcome: Any = app(arguments or ["--help"], prog_name="maploop", standalone_mode=False)
    except typer.TyperException as error:
        return fail(error.format_message(), error.exit_code)
    except MaploopError as error:
        return fail(str(error), BAD_INPUT)
    except typer.Abort:
        if "--json" in arguments:
            say_json({"interrupted": True})
        outcome = INTERRUPTED
    if outcome == INTERRUPTED:
        return fail("Stopped.", INTERRUPTED)
    return outcome if isinstance(outcome, int) else 0


def main() -> None:
    """The `maploop` command."""
    logging.getLogger("db").addHandler(logging.NullHandler())  # the error itself is the one line
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what libraries have to say to developers would be more than one line
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is paid for is kept
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
