"""Models of a project: what they are, where they come from; find, list, add."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select
from sqlalchemy.orm import aliased

from db.bulk import lock_project
from db.models import Model
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.project import MAX_NAME, ProjectView


@dataclass(frozen=True)
class ModelView:
    """A model. `parent` and `dataset_id` say what it was tuned from and on, where it was."""

    id: int
    name: str
    backend: str
    identifier: str
    parameters: dict[str, Any]
    parent: str | None
    dataset_id: str | None
    created_at: datetime


def check_model_name(name: str) -> str:
    """The name of a model as it is kept. Raises InputError."""
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        msg = f"{name[:40]!r} is not a model name: use 1 to {MAX_NAME} printable characters."
        raise InputError(msg)
    return name


def load_model(connection: Connection, project: ProjectView, name: str) -> ModelView:
    """The model of that name. Raises NotFoundError naming those there are."""
    wanted = " ".join(name.split())
    row = connection.execute(_models(project).where(Model.name == wanted)).first()
    if row is None:
        names = ", ".join(repr(each.name) for each in list_models(connection, project)) or "none yet"
        msg = f"There is no model {wanted!r} in {project.name!r}: {names}."
        raise NotFoundError(msg)
    return _view(row)


def list_models(connection: Connection, project: ProjectView) -> list[ModelView]:
    """All models of a project, oldest first."""
    return [_view(row) for row in connection.execute(_models(project).order_by(Model.id))]


def add_model(
    connection: Connection,
    project: ProjectView,
    name: str,
    backend: str,
    *,
    identifier: str = "",
    parameters: dict[str, Any] | None = None,
    parent_id: int | None = None,
    dataset_id: str | None = None,
) -> ModelView:
    """Add a model under a name nobody has; needs a write transaction. Raises InputError, ConflictError."""
    name = check_model_name(name)
    lock_project(connection, project.id)
    if connection.execute(select(Model.id).where(Model.project_id == project.id, Model.name == name)).first():
        msg = f"There is a model {name!r} in {project.name!r} already: choose another name."
        raise ConflictError(msg)
    connection.execute(
        insert(Model).values(
            project_id=project.id,
            name=name,
            backend=backend,
            identifier=identifier,
            parameters=parameters or {},
            parent_id=parent_id,
            dataset_id=dataset_id,
        )
    )
    return load_model(connection, project, name)


def _models(project: ProjectView) -> Select[Any]:
    parent = aliased(Model)
    return (
        select(
            Model.id,
            Model.name,
            Model.backend,
            Model.identifier,
            Model.parameters,
            parent.name.label("parent"),
            Model.dataset_id,
            Model.created_at,
        )
        .outerjoin(parent, parent.id == Model.parent_id)
        .where(Model.project_id == project.id)
    )


def _view(row: Row[Any]) -> ModelView:
    return ModelView(**row._mapping)
