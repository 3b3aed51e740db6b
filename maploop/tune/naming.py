"""What new models are called."""

from typing import Final

from sqlalchemy import Connection

from maploop.errors import InputError
from maploop.predict.models import check_model_name, list_models
from maploop.project import MAX_NAME, ProjectView

FRESH_LOCAL: Final = "local"  # the base that is no model: a local one that knows nothing


def free_name(connection: Connection, project: ProjectView, wanted: str | None, suggested: str) -> str:
    """The wanted name, checked and free before the work begins, or the suggested one with a number if need be."""
    taken = {each.name for each in list_models(connection, project)}
    if wanted is not None:
        name = check_model_name(wanted)
        if name in taken:
            msg = f"There is a model {name!r} in {project.name!r} already: choose another name."
            raise InputError(msg)
        return name
    return numbered(suggested, taken)


def numbered(suggested: str, taken: set[str]) -> str:
    """A suggested name, with a number if need be; the end of one that is too long."""
    suggested = check_model_name(suggested[-MAX_NAME:])
    each = (f"{suggested[-(MAX_NAME - len(str(number)) - 1) :]}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (suggested, *each) if name not in taken)
