"""Projects and their classes: create, find, list; and the people who decide."""

import re
import secrets
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from db.models import Annotator, FeatureClass, Project
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.imagery.tilemath import MAX_ZOOM

# Okabe and Ito's palette (2008), told apart by colour-blind eyes, without its black.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999", "#FFFFFF")
GeometryType = Literal["polygon", "line", "point"]
MAX_NAME = 100


class ProjectSettings(BaseModel):
    """What a project may tune; kept as JSON beside it."""

    model_config = ConfigDict(extra="forbid")

    # Split blocks are parent tiles this many zooms up; None: by how far the tiles reach, see dataset.split.
    block_zoom_offset: int | None = Field(default=None, ge=0, le=8)
    validation_share: float = Field(default=0.1, ge=0, le=0.5)
    test_share: float = Field(default=0.2, ge=0, le=0.5)
    random_share: float = Field(default=0.2, ge=0, le=1)  # of tiles drawn at random in the mixed order
    claim_seconds: int = Field(default=600, ge=30, le=86_400)
    iou_threshold: float = Field(default=0.5, gt=0, le=1)
    line_tolerance_m: float = Field(default=3.0, gt=0)
    point_tolerance_m: float = Field(default=5.0, gt=0)
    # A model takes over when it beats the current one on the test split: see compare.gate.
    promotion_metric: Literal["f1", "precision", "recall", "mean_iou", "ap50", "ap"] = "f1"
    promotion_margin: float = Field(default=0.0, ge=0, le=1)
    promotion_confidence: float = Field(default=0.95, ge=0.5, le=0.999)
    promotion_class_loss: float = Field(default=0.05, ge=0, le=1)
    promotion_blocks: int = Field(default=5, ge=3, le=1000)  # split blocks that the difference rests on at least
    # A comparison has no verdict on a model that answered a smaller share of its tiles, and calls two models about as
    # good when their difference, with its interval, lies within the margin: see compare.judgement.
    answered_share: float = Field(default=0.9, gt=0, le=1)
    equivalence_margin: float = Field(default=0.02, gt=0, le=0.5)
    acceptable_errors: float = Field(default=0.05, ge=0, le=1)  # above, approving by a spot check asks first
    dialect: str = "openai"
    instructions: str = ""


@dataclass(frozen=True)
class ClassView:
    """One class of a project."""

    id: int
    name: str
    geometry_type: GeometryType
    colour: str
    digit: int | None
    definition: str


@dataclass(frozen=True)
class ProjectView:
    """A project with its classes, as everything above the database sees it."""

    id: int
    name: str
    zoom: int
    tile_size: int
    seed: str
    settings: ProjectSettings
    classes: tuple[ClassView, ...]

    def class_named(self, name: str) -> ClassView:
        """The class of that name, whatever its case. Raises InputError naming those there are."""
        for each in self.classes:
            if each.name.casefold() == name.strip().casefold():
                return each
        known = ", ".join(each.name for each in self.classes)
        msg = f"{name!r} is not a class of {self.name!r}: use {known}."
        raise InputError(msg)

    def class_with_id(self, class_id: int) -> ClassView:
        """The class of that id."""
        return next(each for each in self.classes if each.id == class_id)

    @property
    def geometry_types(self) -> dict[str, GeometryType]:
        """Class name -> geometry type."""
        return {each.name: each.geometry_type for each in self.classes}


def parse_class(text: str) -> tuple[str, GeometryType]:
    """Read `building:polygon` as the CLI takes it. Raises InputError."""
    name, separator, geometry_type = text.rpartition(":")
    name, geometry_type = name.strip(), geometry_type.strip().lower()
    if not separator or not name:
        msg = f"{text!r} is not a class: write NAME:polygon, NAME:line or NAME:point."
        raise InputError(msg)
    if geometry_type not in ("polygon", "line", "point"):
        msg = f"{geometry_type!r} is not a geometry type: use polygon, line or point."
        raise InputError(msg)
    return name, geometry_type  # type: ignore[return-value]


def _checked_name(name: str, what: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or re.search(r"[\x00-\x1f\x7f]", name):
        msg = f"{name[:40]!r} is not a {what} name: use 1 to {MAX_NAME} printable characters."
        raise InputError(msg)
    return name


def create_project(
    connection: Connection,
    name: str,
    classes: list[tuple[str, GeometryType]],
    *,
    zoom: int = 19,
    seed: str | None = None,
    settings: ProjectSettings | None = None,
    definitions: dict[str, str] | None = None,
) -> ProjectView:
    """Make a project with classes in order (the first nine get digit keys). Raises InputError, ConflictError."""
    name = _checked_name(name, "project")
    names = [_checked_name(each, "class") for each, _ in classes]
    if not names:
        msg = "A project needs at least one class: add --class building:polygon."
        raise InputError(msg)
    if len({each.casefold() for each in names}) < len(names):
        msg = f"Class names must differ: {', '.join(names)}."
        raise InputError(msg)
    if not 1 <= zoom < MAX_ZOOM:
        msg = f"{zoom} is not a working zoom: use 1 to {MAX_ZOOM - 1}."
        raise InputError(msg)
    row = {
        "name": name,
        "zoom": zoom,
        "tile_size": 512,
        "seed": seed if seed is not None else secrets.token_hex(8),
        "settings": (settings or ProjectSettings()).model_dump(),
    }
    if connection.execute(select(Project.id).where(Project.name == name)).first():
        msg = f"There is a project {name!r} already: choose another name."
        raise ConflictError(msg)
    try:
        project_id = connection.execute(insert(Project).values(**row).returning(Project.id)).scalar_one()
    except IntegrityError as error:
        msg = f"There is a project {name!r} already: choose another name."
        raise ConflictError(msg) from error
    for index, (each, (_, geometry_type)) in enumerate(zip(names, classes, strict=True)):
        connection.execute(
            insert(FeatureClass).values(
                project_id=project_id,
                name=each,
                geometry_type=geometry_type,
                colour=COLOURS[index % len(COLOURS)],
                digit=index + 1 if index < 9 else None,
                definition=(definitions or {}).get(each, ""),
            )
        )
    return load_project(connection, name)


def load_project(connection: Connection, name: str) -> ProjectView:
    """The project of that name with its classes. Raises NotFoundError naming those there are."""
    row = connection.execute(select(Project.__table__).where(Project.name == name)).mappings().first()
    if row is None:
        names = ", ".join(repr(each) for each in list_projects(connection)) or "none yet"
        msg = f"There is no project {name!r}: {names}."
        raise NotFoundError(msg)
    return _view(connection, row)


def load_project_by_id(connection: Connection, project_id: int) -> ProjectView:
    """The project of that id with its classes. Raises NotFoundError."""
    row = connection.execute(select(Project.__table__).where(Project.id == project_id)).mappings().first()
    if row is None:
        msg = f"There is no project {project_id}."
        raise NotFoundError(msg)
    return _view(connection, row)


def _view(connection: Connection, row: RowMapping) -> ProjectView:
    classes = connection.execute(
        select(FeatureClass.__table__).where(FeatureClass.project_id == row["id"]).order_by(FeatureClass.id)
    ).mappings()
    return ProjectView(
        id=row["id"],
        name=row["name"],
        zoom=row["zoom"],
        tile_size=row["tile_size"],
        seed=row["seed"],
        settings=ProjectSettings.model_validate(row["settings"]),
        classes=tuple(
            ClassView(
                id=each["id"],
                name=each["name"],
                geometry_type=each["geometry_type"],
                colour=each["colour"],
                digit=each["digit"],
                definition=each["definition"],
            )
            for each in classes
        ),
    )


def list_projects(connection: Connection) -> list[str]:
    """Names of all projects, oldest first."""
    return list(connection.execute(select(Project.name).order_by(Project.id)).scalars())


def change_settings(connection: Connection, project: ProjectView, **changes: object) -> ProjectView:
    """Change settings by name. Raises InputError.

    Shares and blocks of the split hold for blocks that are still to come; `dataset.blocks.split_anew` changes all.
    """
    try:
        settings = ProjectSettings.model_validate({**project.settings.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        msg = f"{first['input']!r} is not a {first['loc'][0]}: {first['msg'].lower()}."
        raise InputError(msg) from error
    connection.execute(update(Project).where(Project.id == project.id).values(settings=settings.model_dump()))
    return load_project(connection, project.name)


def annotator_id(connection: Connection, name: str) -> int:
    """The id of the annotator of that name, made when new; needs a write transaction then. Raises InputError."""
    name = check_annotator_name(name)
    found = connection.execute(select(Annotator.id).where(Annotator.name == name)).scalar()
    if found is None:
        found = connection.execute(insert(Annotator).values(name=name).returning(Annotator.id)).scalar_one()
    return found


def check_annotator_name(name: str) -> str:
    """A person's name with single spaces. Raises InputError when it is empty, long or not printable."""
    return _checked_name(name, "annotator")


def list_annotators(connection: Connection) -> list[str]:
    """Names of everybody who has decided or been picked, by name."""
    return list(connection.execute(select(Annotator.name).order_by(Annotator.name)).scalars())
