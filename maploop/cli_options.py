"""What commands have in common: the project, the database, and the form of the answer."""

from typing import Annotated

import typer

ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]
Url = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="Database; else MAPLOOP_DATABASE_URL; else in the data folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
