"""Set-ups: a chat model that is always shown examples, as a model in its own right.

What is compared is a model as it was asked: by itself, with the same examples, or with those that look most like the
tile. Each such set-up is a model of the project, with the same identifier, prompt and parameters as its base and its
examples beside them. So it can be promoted, priced and asked again, and a run of it shows its examples untold. Which
reviewed tiles these are is settled when a run begins: see docs/decisions/examples-of-a-run.md.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from maploop.errors import ConflictError
from maploop.predict.models import ModelView, add_model, list_models
from maploop.project import MAX_NAME, ProjectView

EXAMPLES: Final = ("shots", "retrieve", "embedder")  # parameters of a chat model, and of its runs, that make a set-up


def examples_of(model: ModelView) -> dict[str, Any]:
    """The examples that a model is always shown, as parameters of a run; empty for all but set-ups."""
    if model.backend != "chat":
        return {}
    return {name: model.parameters[name] for name in EXAMPLES if model.parameters.get(name)}


def without_examples(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the base of a set-up."""
    return {name: value for name, value in parameters.items() if name not in EXAMPLES}


def find_set_up(
    connection: Connection, project: ProjectView, model: ModelView, asked: Mapping[str, Any]
) -> ModelView | None:
    """The model that a run asking for these examples is of, where there is one: the model itself without any."""
    wanted = _wanted(model, asked)
    if wanted == examples_of(model):
        return model
    parameters = {**without_examples(model.parameters), **wanted}
    return next(
        (
            each
            for each in list_models(connection, project)
            if (each.backend, each.identifier, each.dataset_id) == (model.backend, model.identifier, model.dataset_id)
            and each.parameters == parameters
        ),
        None,
    )


def set_up(connection: Connection, project: ProjectView, model: ModelView, asked: Mapping[str, Any]) -> ModelView:
    """The model that a run asking for these examples is of, made where there is none; needs a write transaction.

    Raises ConflictError when another model has its name.
    """
    found = find_set_up(connection, project, model, asked)
    if found is not None:
        return found
    wanted = _wanted(model, asked)
    base = _base(connection, project, model)
    name = f"{base.name[: MAX_NAME - 40]}, {_words(wanted)}"
    if any(each.name == name for each in list_models(connection, project)):
        msg = f"{name!r} is a model of {project.name!r} with other parameters: rename it, or give it other examples."
        raise ConflictError(msg)
    return add_model(
        connection,
        project,
        name,
        model.backend,
        identifier=model.identifier,
        parameters={**without_examples(model.parameters), **wanted},
        parent_id=base.id,
        dataset_id=model.dataset_id,
    )


def set_ups_of(connection: Connection, project: ProjectView, model: ModelView) -> list[ModelView]:
    """The set-ups that were made of a model."""
    return [
        each
        for each in list_models(connection, project)
        if each.parent == model.name and examples_of(each) and each.identifier == model.identifier
    ]


def _wanted(model: ModelView, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Examples of a run: those asked for, else the model's own; the light embedder goes without saying."""
    if model.backend != "chat":
        return {}
    examples = {**examples_of(model), **{name: asked[name] for name in EXAMPLES if name in asked}}
    if not examples.get("shots"):
        return {}
    kept = {"shots": int(examples["shots"])}
    if examples.get("retrieve"):
        kept["retrieve"] = True
        if examples.get("embedder", "light") != "light":
            kept["embedder"] = examples["embedder"]
    return kept


def _base(connection: Connection, project: ProjectView, model: ModelView) -> ModelView:
    if not examples_of(model):
        return model
    return next((each for each in list_models(connection, project) if each.name == model.parent), model)


def _words(examples: Mapping[str, Any]) -> str:
    """Name the set-up in words: `3 nearest examples`."""
    count = examples["shots"]
    nearest = "nearest " if examples.get("retrieve") else ""
    by = f" by {examples['embedder']}" if examples.get("embedder") else ""
    return f"{count} {nearest}{'example' if count == 1 else 'examples'}{by}"
