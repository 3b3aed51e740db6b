"""`maploop project set` and `maploop project show`: the settings of a project, and how its split came out."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maploop.cli_options import AsJson, ProjectName, Url
from maploop.cli_output import say_json, say_lines

if TYPE_CHECKING:
    from maploop.dataset.blocks import SplitSide
    from maploop.project import ProjectView


def set_settings(
    project: ProjectName,
    settings: Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help="`project show` lists the keys.")],
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change settings of a project; shares and blocks of the split only while nothing is decided or frozen."""
    from maploop.database import open_database  # noqa: PLC0415
    from maploop.dataset.blocks import split_sides  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415
    from maploop.project_keys import parse_settings, set_project  # noqa: PLC0415

    values = parse_settings(settings)
    with open_database(db).write() as connection:
        view = set_project(connection, load_project(connection, project), values)
        sides = split_sides(connection, view)
    _say(view, sides, as_json=as_json)


def show(project: ProjectName, db: Url = None, as_json: AsJson = False) -> None:
    """Show a project: classes, settings by key, and the split with its tiles and blocks."""
    from maploop.database import open_database  # noqa: PLC0415
    from maploop.dataset.blocks import split_sides  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    with open_database(db).read() as connection:
        view = load_project(connection, project)
        sides = split_sides(connection, view)
    _say(view, sides, as_json=as_json)


def _say(project: "ProjectView", sides: "Sequence[SplitSide]", *, as_json: bool) -> None:
    from maploop.dataset.blocks import split_warning  # noqa: PLC0415
    from maploop.project_keys import shown_settings  # noqa: PLC0415

    warning = split_warning(project, sides)
    if as_json:
        answer: dict[str, Any] = {
            "project": project.name,
            "zoom": project.zoom,
            "seed": project.seed,
            "classes": project.geometry_types,
            "settings": shown_settings(project),
            "split": {each.name: {"share": each.wish, "tiles": each.tiles, "blocks": each.blocks} for each in sides},
            "warning": warning or None,
        }
        say_json(answer)
        return
    say_lines(_lines(project, sides, warning))


def _lines(project: "ProjectView", sides: "Sequence[SplitSide]", warning: str) -> Iterator[str]:
    from maploop.project_keys import KEYS  # noqa: PLC0415

    classes = ", ".join(f"{name} ({kind})" for name, kind in project.geometry_types.items())
    yield f"{project.name}: zoom {project.zoom}, {classes}"
    for each in sides:
        yield f"{each.name:<12}{each.tiles:>9,} tiles in {each.blocks:,} blocks; wished {100 * each.wish:.0f} %"
    if warning:
        yield warning
    for name, key in KEYS.items():
        yield f"{f'{name}={key.shown(project)}':<34}  {key.help}"
