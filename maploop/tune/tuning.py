"""Tuning: a frozen dataset and a base become a registered model that knows where it comes from."""

from collections.abc import Callable

from maploop.database import Database
from maploop.dataset.datasets import dataset_of
from maploop.dataset.reading import Sources
from maploop.errors import InputError
from maploop.predict.local import LocalModel
from maploop.predict.model_files import keep_model
from maploop.predict.models import ModelView, add_model, check_model_name, list_models, load_model
from maploop.project import ProjectView
from maploop.settings import get_settings
from maploop.tune.naming import FRESH_LOCAL, free_name
from maploop.tune.preflight import local_plan
from maploop.tune.records import add_job
from maploop.tune.work import carry_out_job


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
    annotator: str | None = None,
) -> ModelView:
    """Train a local model on a frozen dataset of the project, while one waits; it knows its parent and dataset.

    `base`: a local model of the project, or `local` for a fresh one. The dataset's id may be shortened. Raises
    NotFoundError, InputError, LicenceError, ImageryError, ConflictError, TuningCancelledError; there is no model then.
    """
    dataset = dataset_of(database, project, dataset_id)
    with database.read() as connection:
        parent = None if base == FRESH_LOCAL else load_model(connection, project, base)
        new = free_name(connection, project, name, f"{base}-{dataset.id[:8]}")
    if parent is not None and parent.backend != "local":
        what = f"{parent.name!r} is a {parent.backend} model, which cannot be tuned here"
        msg = f"{what}: use a local model, or --base local."
        raise InputError(msg)
    plan = local_plan(dataset, base, parent, new)
    with database.write() as connection:
        job_id = add_job(
            connection,
            project,
            plan,
            parent_id=parent.id if parent else None,
            annotator=annotator or get_settings().user,
            in_app=False,
        )
    job = carry_out_job(database, project, job_id, hear=hear, cancelled=cancelled, sources=sources)
    with database.read() as connection:
        return load_model(connection, project, job.model or new)


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
