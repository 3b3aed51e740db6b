"""The shape of an answer on the wire.

Kept plain on purpose: tuned models refuse minimum, maximum, lengths and patterns in strict schemas, and tuples become
`prefixItems`. What the schema cannot say, `parse` checks.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Position = list[int]  # two whole numbers, in the order of the dialect


class FeatureAnswer(BaseModel):
    """One feature of an answer. Rings are not closed: the last point is not the first again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    class_name: str = Field(alias="class")
    geometry: Literal["polygon", "line", "point"]
    points: list[Position]
    holes: list[list[Position]]


class Answer(BaseModel):
    """All features of one tile; an empty list when there are none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    features: list[FeatureAnswer]


def answer_schema(class_names: Sequence[str]) -> dict[str, Any]:
    """JSON schema of an answer with these classes, for strict structured output."""
    feature = _untitled(FeatureAnswer.model_json_schema(by_alias=True))
    feature["properties"]["class"]["enum"] = list(class_names)
    feature.pop("description")
    return {
        "type": "object",
        "properties": {"features": {"type": "array", "items": feature}},
        "required": ["features"],
        "additionalProperties": False,
    }


def _untitled(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _untitled(value) for key, value in schema.items() if key != "title"}
    return schema
