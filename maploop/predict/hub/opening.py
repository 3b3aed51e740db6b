"""From a transformers model as the project knows it to a predictor, and from what somebody typed to such a model."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from maploop.database import Database
from maploop.errors import ConflictError, InputError
from maploop.imagery.tilemath import Tile
from maploop.predict.hub.areas import PixelArea, ThingArea
from maploop.predict.hub.earlier import classes_found, found_earlier, state_of
from maploop.predict.hub.files import located, model_folder, pinned, settings_folder
from maploop.predict.hub.loading import model_labels, open_network
from maploop.predict.hub.parameters import HubParameters, read_parameters, wanted_labels
from maploop.predict.hub.sharpen import SharpeningPredictor
from maploop.predict.models import ModelView, add_model, load_model
from maploop.predict.predictor import FoundFeature, Predictor
from maploop.predict.whole_area import AreaModel, WholeAreaPredictor
from maploop.project import ProjectView

BACKEND: Final = "transformers"


def add_hub_model(
    database: Database,
    project: ProjectView,
    name: str,
    source: str,
    parameters: Mapping[str, Any],
    *,
    parent_id: int | None = None,
    dataset_id: str | None = None,
) -> ModelView:
    """Add a model of a folder or of the hub, as it is now, after looking whether it can do what it is to do.

    `parameters` as `HubParameters` has them; their `revision` may be a branch or a tag of the hub, the commit is kept.
    Raises InputError, NotFoundError, ConflictError.
    """
    told = read_parameters({name: value for name, value in parameters.items() if name != "revision"})
    identifier = located(source)
    kept = told.model_copy(update={"revision": pinned(identifier, str(parameters.get("revision", "")))})
    _classes_of(project, kept, model_labels(settings_folder(identifier, kept.revision), kept.task))
    values = kept.model_dump(exclude_defaults=True)
    with database.write() as connection:
        if kept.sharpen:
            load_model(connection, project, kept.sharpen)
        return add_model(
            connection,
            project,
            name,
            BACKEND,
            identifier=identifier,
            parameters=values,
            parent_id=parent_id,
            dataset_id=dataset_id,
        )


def open_hub_model(project: ProjectView, model: ModelView, *, database: Database | None = None) -> Predictor:
    """Open a model for predicting: its weights are loaded. One that sharpens another's predictions needs the database.

    Raises InputError, NotFoundError, ConflictError.
    """
    parameters = read_parameters(model.parameters)
    if parameters.task == "sharpen":
        if database is None:
            msg = f"What {model.name!r} sharpens comes from the database: open it with that."
            raise InputError(msg)
        return _sharpening(database, project, model, parameters)
    folder = model_folder(model.identifier, parameters.revision)
    known = model_labels(folder, parameters.task)
    classes = _classes_of(project, parameters, known)
    opened = open_network(folder, parameters.task, parameters.device)
    # torch takes seconds to import
    from maploop.predict.hub import masks, networks  # noqa: PLC0415

    labels = wanted_labels(parameters.labels, known)
    names = {number: project.class_named(name).name for number, name in labels.items()}
    area: AreaModel
    match parameters.task:
        case "semantic":
            places = {name: place for place, name in enumerate(classes)}
            numbers = {number: places[name] for number, name in names.items()}
            area = PixelArea(networks.SemanticNetwork(opened, numbers, len(classes)), classes, parameters)
        case "instance":
            area = ThingArea(networks.MaskNetwork(opened, names, parameters.threshold), classes, parameters)
        case "detection":
            found = networks.BoxNetwork(opened, names, parameters.threshold)
            area = ThingArea(found, classes, parameters, boxes=True)
        case _:
            prompted = masks.PromptedNetwork(opened)
            everything = masks.EverythingNetwork(prompted, next(iter(classes)), parameters.points, parameters.threshold)
            area = ThingArea(everything, classes, parameters)
    return WholeAreaPredictor(area, parameters.margin)  # a window is a tile with what surrounds it, unless told


def hub_hash(database: Database, project: ProjectView, model: ModelView) -> str:
    """The prompt hash of a model's runs, without loading its weights. Raises InputError, NotFoundError."""
    parameters = read_parameters(model.parameters)
    if parameters.task != "sharpen":
        return WholeAreaPredictor.prompt_hash
    with database.read() as connection:
        return state_of(connection, load_model(connection, project, parameters.sharpen))


def _classes_of(project: ProjectView, parameters: HubParameters, known: Mapping[int, str]) -> dict[str, str]:
    """Class name -> geometry type, of the classes that labels stand for. Raises InputError."""
    names = wanted_labels(parameters.labels, known).values()
    classes: dict[str, str] = {each.name: each.geometry_type for each in map(project.class_named, dict.fromkeys(names))}
    lines = [name for name, kind in classes.items() if kind == "line"]
    if parameters.task == "detection" and lines:
        msg = f"{lines[0]!r} is a class of lines, and boxes do not become lines: give labels of other classes."
        raise InputError(msg)
    return classes


def _sharpening(
    database: Database, project: ProjectView, model: ModelView, parameters: HubParameters
) -> SharpeningPredictor:
    with database.read() as connection:
        other = load_model(connection, project, parameters.sharpen)
        seen = classes_found(connection, other)
        if not seen:
            msg = f"{other.name!r} has predicted nothing yet that {model.name!r} could sharpen: run it first."
            raise ConflictError(msg)
        state = state_of(connection, other)
    polygons = {each.id: each.name for each in project.classes if each.geometry_type == "polygon" and each.id in seen}
    if not polygons:
        msg = f"{other.name!r} predicts no polygons, and nothing else can be sharpened: name another model."
        raise InputError(msg)
    folder = model_folder(model.identifier, parameters.revision)
    opened = open_network(folder, parameters.task, parameters.device)
    from maploop.predict.hub.masks import PromptedNetwork  # noqa: PLC0415

    def earlier(tiles: Sequence[Tile]) -> Mapping[Tile, Sequence[FoundFeature]]:
        with database.read() as connection:
            return found_earlier(connection, project, other, tiles, polygons)

    return SharpeningPredictor(PromptedNetwork(opened), earlier, polygons.values(), state, parameters.threshold)
