"""`maploop model`: models of a project that can be asked."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maploop.cli_options import AsJson, ProjectName, Url
from maploop.cli_output import say, say_json
from maploop.errors import InputError

if TYPE_CHECKING:
    from maploop.predict.models import ModelView


model_app = typer.Typer(help="Models that can be asked.", rich_markup_mode=None)


@model_app.command("add")
def add(
    project: ProjectName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the model is called here.")],
    backend: Annotated[
        str,
        typer.Option(
            metavar="BACKEND",
            help="chat: any server that speaks OpenAI's API; transformers: a folder, or of the Hugging Face hub.",
        ),
    ],
    identifier: Annotated[
        str, typer.Option(metavar="ID", help="The vendor's id of the model; a folder, or OWNER/NAME of the hub.")
    ],
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Where the server's routes begin; else OpenAI's.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="The variable or secret that holds the key, never the key.")
    ] = None,
    dialect: Annotated[
        str | None, typer.Option(metavar="D", help="How it writes coordinates: openai, qwen, pixels, gemini.")
    ] = None,
    detail: Annotated[str | None, typer.Option(metavar="D", help="low, high, auto or original.")] = None,
    structured: Annotated[str | None, typer.Option(metavar="S", help="auto, strict or plain.")] = None,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", help="Tokens of an answer, at most.")] = None,
    temperature: Annotated[float | None, typer.Option(metavar="T", help="0 to 2.")] = None,
    priced_as: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name in the table of prices, as for a deployment at Azure.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="T", help="Of transformers: semantic, instance, detection, masks or sharpen."),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="LABEL=CLASS", help="Which of its labels is which class; may be given often."),
    ] = None,
    sharpen: Annotated[str | None, typer.Option(metavar="MODEL", help="The model whose polygons it sharpens.")] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="REV", help="Branch, tag or commit of the hub; else the newest.")
    ] = None,
    others: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="Another one; may be given often.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="ID", help="The dataset it was tuned on, for one that was trained elsewhere.")
    ] = None,
    parent: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model of the project it was made of.")
    ] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Add a model to a project; nothing is sent to it. Of the hub its settings are fetched, to see what it can do."""
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.dataset.datasets import dataset_of  # noqa: PLC0415
    from maploop.predict.models import load_model  # noqa: PLC0415
    from maploop.predict.registry import add_checked_model  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    given = {
        "base_url": base_url,
        "key": key,
        "dialect": dialect,
        "detail": detail,
        "structured": structured,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "priced_as": priced_as,
        "task": task,
        "labels": dict(_label(each) for each in labels) if labels else None,
        "sharpen": sharpen,
        "revision": revision,
        **dict(_named(each) for each in others or ()),
    }
    parameters = {name: each for name, each in given.items() if each is not None}
    database = existing_database(db)
    with database.read() as connection:
        view = load_project(connection, project)
        parent_id = load_model(connection, view, parent).id if parent else None
    dataset_id = dataset_of(database, view, dataset).id if dataset else None
    model = add_checked_model(
        database, view, name, backend, identifier, parameters, parent_id=parent_id, dataset_id=dataset_id
    )
    if as_json:
        say_json(_told(model))
    else:
        say(f"Added {model.name!r}: {model.identifier} ({model.backend}).")


@model_app.command("list")
def list_all(project: ProjectName, db: Url = None, as_json: AsJson = False) -> None:
    """The models of a project, oldest first."""
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.predict.models import list_models  # noqa: PLC0415
    from maploop.project import load_project  # noqa: PLC0415

    with existing_database(db).read() as connection:
        models = list_models(connection, load_project(connection, project))
    if as_json:
        say_json({"models": [_told(each) for each in models]})
        return
    for each in models:
        made = f", from {each.parent}" if each.parent else ""
        say(f"{each.name}: {each.backend} {each.identifier}{made}")
    if not models:
        say("No models yet: add one with maploop model add, or train one with maploop tune.")


def _named(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`, the value as JSON where it is some."""
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        msg = f"{name[:40]!r} is not a parameter: write NAME=VALUE."
        raise InputError(msg)
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value


def _label(text: str) -> tuple[str, str]:
    label, separator, class_name = text.rpartition("=")
    if not separator or not label.strip() or not class_name.strip():
        msg = f"{text[:60]!r} does not say which label is which class: write LABEL=CLASS."
        raise InputError(msg)
    return label.strip(), class_name.strip()


def _told(model: "ModelView") -> dict[str, Any]:
    return {
        "model": model.name,
        "backend": model.backend,
        "identifier": model.identifier,
        "parameters": model.parameters,
        "parent": model.parent,
        "dataset": model.dataset_id,
    }
