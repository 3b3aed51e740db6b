"""The contract: everything that reaches a model beside the pixels, frozen and known by its hash."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, Literal

import jinja2
import orjson
from pydantic import TypeAdapter, ValidationError

from maploop.contract.dialects import Dialect, dialect_named
from maploop.contract.schema import answer_schema
from maploop.errors import InputError
from maploop.project import GeometryType, ProjectView

ImageFormat = Literal["png", "jpeg"]
Detail = Literal["low", "high", "auto", "original"]

GRAMMAR = 3  # raise it when the same annotations render to another answer, or the same pixels to another picture
IMAGE_FORMAT: ImageFormat = (
    "jpeg"  # a PNG of aerial imagery is four times the size: 900 tiles would fill OpenAI's 512 MB
)
DETAIL: Detail = "high"


@dataclass(frozen=True)
class Contract:
    """What a model is told and what it must answer; equal contracts have equal hashes.

    classes         name and geometry type of each class, in the order of the answer
    system, user    the texts as rendered
    image_size      pixels a side of the picture
    detail          how closely the model is asked to look
    grammar         version of how answers and pictures are made
    """

    dialect: str
    classes: tuple[tuple[str, GeometryType], ...]
    system: str
    user: str
    image_size: int
    image_format: ImageFormat = IMAGE_FORMAT
    detail: Detail = DETAIL
    grammar: int = GRAMMAR

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that reaches the model."""
        content = orjson.dumps({**self.to_json(), "schema": self.schema}, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(content).hexdigest()

    @cached_property
    def coordinates(self) -> Dialect:
        """The dialect that positions are written in."""
        return dialect_named(self.dialect)

    @cached_property
    def limit(self) -> int:
        """The whole number that stands for the right and bottom edge of a tile."""
        return self.coordinates.limit(self.image_size)

    @cached_property
    def geometry_types(self) -> dict[str, GeometryType]:
        """Class name -> geometry type, in the order of the answer."""
        return dict(self.classes)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of an answer."""
        return answer_schema([name for name, _ in self.classes])

    @property
    def response_format(self) -> dict[str, Any]:
        """The `response_format` of a chat request: strict structured output."""
        return {
            "type": "json_schema",
            "json_schema": {"name": "map_features", "strict": True, "schema": self.schema},
        }

    def messages(self, image: bytes, *, shots: Sequence[tuple[bytes, str]] = ()) -> list[dict[str, Any]]:
        """Chat messages that ask about one picture; `shots` are pictures with their answers, shown first."""
        messages: list[dict[str, Any]] = [{"role": "system", "content": self.system}]
        for shown, answer in shots:
            messages += [self._question(shown), {"role": "assistant", "content": answer}]
        return [*messages, self._question(image)]

    def _question(self, image: bytes) -> dict[str, Any]:
        url = f"data:image/{self.image_format};base64,{base64.b64encode(image).decode()}"
        return {
            "role": "user",
            "content": [
                {"type": "text", "text": self.user},
                {"type": "image_url", "image_url": {"url": url, "detail": self.detail}},
            ],
        }

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads them back."""
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**values, "classes": [list(each) for each in self.classes]}

    @staticmethod
    def from_json(values: dict[str, Any]) -> "Contract":
        """The inverse of `to_json`. Raises InputError when the values are not a contract."""
        try:
            return _adapter().validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            msg = f"The stored prompt contract is damaged at {first['loc']}: {first['msg'].lower()}."
            raise InputError(msg) from error


def contract_of(
    project: ProjectView,
    *,
    dialect: str | None = None,
    image_format: ImageFormat = IMAGE_FORMAT,
    detail: Detail = DETAIL,
) -> Contract:
    """The contract of a project as its classes, definitions and settings are now. Raises InputError."""
    name = dialect if dialect is not None else project.settings.dialect
    classes = [
        {"name": each.name, "geometry_type": each.geometry_type, "definition": " ".join(each.definition.split())}
        for each in project.classes
    ]
    system = _templates().get_template("system.md")
    return Contract(
        dialect=name,
        classes=tuple((each.name, each.geometry_type) for each in project.classes),
        system=system.render(
            classes=classes,
            coordinates=dialect_named(name).explain(project.tile_size),
            image_size=project.tile_size,
            instructions=project.settings.instructions.strip(),
        ).strip(),
        user=_templates().get_template("user.md").render().strip(),
        image_size=project.tile_size,
        image_format=image_format,
        detail=detail,
    )


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("maploop.contract", "."),
        autoescape=False,  # noqa: S701  prompts are plain text, never HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Contract]:
    return TypeAdapter(Contract)
