"""From a model as the project knows it to something that predicts."""

from collections.abc import Collection

from maploop.errors import InputError
from maploop.predict.models import ModelView
from maploop.predict.predictor import Predictor
from maploop.project import ProjectView


def open_predictor(project: ProjectView, model: ModelView) -> Predictor:
    """Open a model of the project. Raises InputError, NotFoundError saying why it cannot predict."""
    # Each backend brings libraries that take a second to import, and a run needs one of them.
    match model.backend:
        case "local":
            from maploop.predict.model_files import open_model  # noqa: PLC0415
            from maploop.predict.whole_area import WholeAreaPredictor  # noqa: PLC0415

            predictor = WholeAreaPredictor(open_model(model.identifier))
        case "file":
            msg = f"The predictions of {model.name!r} come from files, it cannot predict: import another file of them."
            raise InputError(msg)
        case _:
            msg = f"{model.backend!r}, the backend of {model.name!r}, is not known to this version: upgrade Maploop."
            raise InputError(msg)
    _check_classes(project, model, predictor.class_names)
    return predictor


def _check_classes(project: ProjectView, model: ModelView, names: Collection[str]) -> None:
    known = {each.name for each in project.classes}
    if foreign := [name for name in names if name not in known]:
        msg = (
            f"{model.name!r} finds {', '.join(foreign)}, which {project.name!r} does not have: it has "
            f"{', '.join(sorted(known))}."
        )
        raise InputError(msg)
