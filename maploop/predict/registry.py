"""From a model as the project knows it to something that predicts."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from maploop.database import Database
from maploop.errors import InputError
from maploop.keys import check_key
from maploop.predict.models import ModelView, add_model
from maploop.predict.predictor import Predictor
from maploop.project import ProjectView

if TYPE_CHECKING:
    from maploop.predict.chat.estimate import Estimate

MAX_IDENTIFIER = 300
_NOTHING_ASKED: Mapping[str, Any] = MappingProxyType({})
_OF_CHAT_MODELS = ("shots", "retrieve", "budget", "batch")


def open_predictor(
    project: ProjectView,
    model: ModelView,
    parameters: Mapping[str, Any] = _NOTHING_ASKED,
    *,
    database: Database | None = None,
    waits: bool = True,
) -> Predictor:
    """Open a model of the project as a run asks for it: `parameters` are the run's.

    The database is needed by runs that show examples or go in batches, and by models that sharpen what another one
    predicted. A run in batches that does not wait for them is put down once they are submitted. Raises MaploopError
    saying why it cannot predict.
    """
    # Each backend brings libraries that take a second to import, and a run needs one of them.
    predictor: Predictor
    match model.backend:
        case "chat" if parameters.get("batch"):
            from maploop.predict.batch.opening import open_batch  # noqa: PLC0415

            predictor = open_batch(project, model, parameters, database=database, waits=waits)
        case "chat":
            from maploop.predict.chat.opening import open_chat  # noqa: PLC0415

            predictor = open_chat(project, model, parameters, database=database)
        case "local":
            from maploop.predict.model_files import open_model  # noqa: PLC0415
            from maploop.predict.whole_area import WholeAreaPredictor  # noqa: PLC0415

            _check_unasked(model, parameters)
            predictor = WholeAreaPredictor(open_model(model.identifier))
        case "transformers":
            from maploop.predict.hub.opening import open_hub_model  # noqa: PLC0415

            _check_unasked(model, parameters)
            predictor = open_hub_model(project, model, database=database)
        case "file":
            msg = f"The predictions of {model.name!r} come from files, it cannot predict: import another file of them."
            raise InputError(msg)
        case _:
            msg = f"{model.backend!r}, the backend of {model.name!r}, is not known to this version: upgrade Maploop."
            raise InputError(msg)
    _check_classes(project, model, predictor.class_names)
    return predictor


def parameters_of_run(
    database: Database, project: ProjectView, model: ModelView, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """What a run is to remember of what it asks for, so that it asks the same when it is resumed.

    Give it to `begin_run` and to `open_predictor`. Raises MaploopError.
    """
    if model.backend != "chat":
        _check_unasked(model, parameters)
        return dict(parameters)
    from maploop.predict.chat.opening import chat_parameters_of_run  # noqa: PLC0415

    return chat_parameters_of_run(database, project, model, parameters)


def estimate_run(
    database: Database, project: ProjectView, model: ModelView, parameters: Mapping[str, Any], tiles: int
) -> "Estimate | None":
    """What so many tiles will take of a model that counts tokens, None of another one. Needs no key.

    `Estimate.to_json` belongs among the run's parameters, as `estimate`. Raises MaploopError.
    """
    if model.backend != "chat":
        return None
    from maploop.predict.chat.opening import estimate_chat  # noqa: PLC0415

    return estimate_chat(database, project, model, parameters, tiles)


def question_hash(database: Database, project: ProjectView, model: ModelView, parameters: Mapping[str, Any]) -> str:
    """The prompt hash of a run of these parameters, without asking for a key. Raises MaploopError."""
    if model.backend == "transformers":
        from maploop.predict.hub.opening import hub_hash  # noqa: PLC0415

        return hub_hash(database, project, model)
    if model.backend != "chat":
        return open_predictor(project, model, parameters, database=database).prompt_hash
    from maploop.predict.chat.opening import chat_hash  # noqa: PLC0415

    return chat_hash(database, project, model, parameters)


def add_checked_model(
    database: Database,
    project: ProjectView,
    name: str,
    backend: str,
    identifier: str,
    parameters: Mapping[str, Any],
    *,
    parent_id: int | None = None,
    dataset_id: str | None = None,
) -> ModelView:
    """Add a model that somebody describes, of a backend that can be asked; it may say what it was tuned from and on.

    Raises MaploopError.
    """
    if backend == "transformers":
        from maploop.predict.hub.opening import add_hub_model  # noqa: PLC0415

        return add_hub_model(
            database, project, name, identifier, parameters, parent_id=parent_id, dataset_id=dataset_id
        )
    kept = checked_parameters(backend, identifier, parameters)
    with database.write() as connection:
        return add_model(
            connection,
            project,
            name,
            backend,
            identifier=identifier,
            parameters=kept,
            parent_id=parent_id,
            dataset_id=dataset_id,
        )


def checked_parameters(backend: str, identifier: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a chat model that somebody adds, as they are kept. Raises InputError."""
    if backend != "chat":
        msg = (
            f"{backend!r} is not a backend of models that are added: use chat or transformers, train one, or import "
            "its predictions."
        )
        raise InputError(msg)
    if not identifier.strip() or len(identifier) > MAX_IDENTIFIER or not identifier.isprintable():
        msg = f"{identifier[:40]!r} is not the identifier of a model: use the vendor's id, such as gpt-4o."
        raise InputError(msg)
    from maploop.predict.chat.parameters import ChatParameters  # noqa: PLC0415

    asked = ChatParameters.of(parameters)
    if asked.key:
        check_key(asked.key, asked.base_url)
    return asked.to_json()


def _check_unasked(model: ModelView, parameters: Mapping[str, Any]) -> None:
    if asked := [name for name in _OF_CHAT_MODELS if parameters.get(name)]:
        msg = f"{model.name!r} is a {model.backend} model, for which there is no {asked[0]}: that is for chat models."
        raise InputError(msg)


def _check_classes(project: ProjectView, model: ModelView, names: Collection[str]) -> None:
    known = {each.name for each in project.classes}
    if foreign := [name for name in names if name not in known]:
        msg = (
            f"{model.name!r} finds {', '.join(foreign)}, which {project.name!r} does not have: it has "
            f"{', '.join(sorted(known))}."
        )
        raise InputError(msg)
