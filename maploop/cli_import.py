"""Commands of `maploop import` that are not about a file of features: the area, the record, and taking back."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maploop.cli_options import AsJson, ProjectName, Url
from maploop.cli_output import progress, say, say_import, say_json

if TYPE_CHECKING:
    from maploop.database import Database
    from maploop.project import ProjectView


def area(
    project: ProjectName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Polygons: GeoJSON, GeoPackage, Shapefile, ...")],
    crs: Annotated[
        str | None, typer.Option("--crs", metavar="CRS", help="In place of what the file says: EPSG:32636.")
    ] = None,
    layer: Annotated[str | None, typer.Option("--layer", metavar="NAME", help="One layer of a GeoPackage.")] = None,
    outside_imagery: Annotated[
        bool, typer.Option("--outside-imagery", help="Also when none of the project's imagery is there.")
    ] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Set the project's area: its tiles are made there, and only those there are asked about and counted."""
    from maploop.imagery.register_area import import_area  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415
    from maploop.vectors.area import read_area  # noqa: PLC0415

    ground = read_area(file, source_crs=crs, layer=layer)
    database, view = _project(db, project)
    with progress() as report:
        answer = import_area(
            database,
            view,
            ground,
            source=str(file),
            annotator=get_settings().user,
            outside_imagery=outside_imagery,
            progress=report,
        )
    say_import(answer, as_json=as_json)


def list_of_imports(project: ProjectName, db: Url = None, as_json: AsJson = False) -> None:
    """List what was imported, newest first, with who did it and what was taken back."""
    from maploop.import_records import list_imports  # noqa: PLC0415

    database, view = _project(db, project)
    with database.read() as connection:
        imports = list_imports(connection, view)
    if as_json:
        say_json({"imports": [each.to_json() for each in imports]})
        return
    if not imports:
        say("Nothing was imported yet.")
    for each in imports:
        who = f" by {each.annotator}" if each.annotator else ""
        gone = f"; taken back by {each.undone_by} on {each.undone_at:%Y-%m-%d %H:%M}" if each.undone_at else ""
        say(f"{each.id}: {each.kind} {each.source} on {each.made_at:%Y-%m-%d %H:%M}{who}{gone}")


def undo(
    project: ProjectName,
    import_id: Annotated[str, typer.Argument(metavar="IMPORT", help="The id that `import` printed.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else say what would go, and ask.")] = False,
    annotator: Annotated[str | None, typer.Option(metavar="NAME", help="Who takes it back; else MAPLOOP_USER.")] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Take an import back as a whole: what it brought goes, what people decided stays."""
    from maploop.review.undo_import import preview_undo, undo_import, undo_sentence  # noqa: PLC0415
    from maploop.settings import get_settings  # noqa: PLC0415

    database, view = _project(db, project)
    who = get_settings().user if annotator is None else annotator
    if not yes:
        preview = preview_undo(database, view, import_id, who)
        if as_json:
            say_json({**preview, "undone": False})
            return
        say(f"Taking back import {preview['import']} ({preview['kind']} {preview['source']}): {undo_sentence(preview)}")
        if not sys.stdin.isatty() or not typer.confirm("Take it back?"):
            say("Nothing was changed: add --yes to take it back.")
            return
    answer = undo_import(database, view, import_id, who)
    if as_json:
        say_json({**answer, "undone": True})
    else:
        say(f"Took back import {answer['import']} ({answer['kind']} {answer['source']}): {undo_sentence(answer)}")


def _project(db: str | None, name: str) -> "tuple[Database, ProjectView]":
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    database = existing_database(db)
    with database.read() as connection:
        return database, load_project(connection, name)
