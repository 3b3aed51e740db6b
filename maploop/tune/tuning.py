"""Tuning: a frozen dataset and a base become a registered model that knows where it comes from."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from maploop.database import Database
from maploop.dataset.datasets import imagery_sources, load_dataset
from maploop.dataset.reading import Sources
from maploop.errors import InputError
from maploop.predict.local import LocalModel
from maploop.predict.model_files import keep_model
from maploop.predict.models import ModelView, add_model, check_model_name, list_models, load_model
from maploop.project import ProjectView
from maploop.tune.trainer import Lesson, Trainer

FRESH_LOCAL: Final = "local"  # the base that is no model: a local one that knows nothing


def tune(
    database: Database,
    project: ProjectView,
    dataset_id: str,
    base: str,
    *,
    name: str | None = None,
    sources: Sources | None = None,
    hear: Callable[[float, str], None] = lambda _share, _text: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ModelView:
    """Train a model on a frozen dataset of the project and register it, with its parent, dataset and figures.

    `base`: a model of the project, or `local` for a fresh local one. The dataset's id may be shortened. Raises
    NotFoundError, InputError, LicenceError, ImageryError, ConflictError, TuningCancelledError; there is no model then.
    """
    dataset = load_dataset(database, dataset_id)
    if dataset.project_id != project.id:
        msg = f"Dataset {dataset.id[:12]} is not one of {project.name!r}: list its datasets on the Dataset page."
        raise InputError(msg)
    with database.read() as connection:
        parent = None if base == FRESH_LOCAL else load_model(connection, project, base)
        new = _free_name(connection, project, name, f"{base}-{dataset.id[:8]}")
    trainer = _trainer(parent)
    lesson = Lesson(
        project=project,
        dataset=dataset,
        snapshot=dataset.snapshot(),
        base=parent,
        name=new,
        sources=sources or imagery_sources(database),
        hear=hear,
        cancelled=cancelled,
    )
    trained = trainer.train(lesson)
    with database.write() as connection:
        return add_model(
            connection,
            project,
            new,
            trainer.backend,
            identifier=trained.identifier,
            parameters=dict(trained.parameters),
            parent_id=parent.id if parent else None,
            dataset_id=dataset.id,
        )


def register_local_model(database: Database, project: ProjectView, name: str, model: LocalModel) -> ModelView:
    """Keep a local model that was trained elsewhere in the program; the same one under the same name comes back.

    Raises InputError, ConflictError when another model has the name.
    """
    identifier = keep_model(model, check_model_name(name))
    with database.write() as connection:
        for each in list_models(connection, project):
            if (each.name, each.backend, each.identifier) == (check_model_name(name), "local", identifier):
                return each
        return add_model(
            connection, project, name, "local", identifier=identifier, parameters={"classes": dict(model.classes)}
        )


def _trainer(base: ModelView | None) -> Trainer:
    if base is None or base.backend == "local":
        from maploop.tune.local import LocalTrainer  # noqa: PLC0415  scikit-learn takes a second to import

        return LocalTrainer()
    msg = f"{base.name!r} is a {base.backend} model, which cannot be tuned here: use a local model, or --base local."
    raise InputError(msg)


def _free_name(connection: Connection, project: ProjectView, wanted: str | None, suggested: str) -> str:
    """The wanted name, checked and free before the work begins, or the suggested one with a number if need be."""
    taken = {each.name for each in list_models(connection, project)}
    if wanted is not None:
        name = check_model_name(wanted)
        if name in taken:
            msg = f"There is a model {name!r} in {project.name!r} already: choose another name."
            raise InputError(msg)
        return name
    suggested = check_model_name(suggested[-100:])
    numbered = (f"{suggested}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (suggested, *numbered) if name not in taken)
