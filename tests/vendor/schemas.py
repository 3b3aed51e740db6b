"""Strict schemas of answers: what structured output takes, and what tuned models do not."""

import re
from typing import Any

from tests.vendor.wire import Json, RefusedError, known_fields, of_type, one_of, required

PATH = "response_format"
_TAKEN = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "description", "title",
    "$ref", "$defs", "definitions", "default",
}  # fmt: skip
_NOT_BY_TUNED = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "minLength",
    "maxLength", "pattern", "format",
}  # fmt: skip
_MOST_DEEP = 10


def check_response_format(body: Json, *, tuned: bool, knows_schemas: bool = True) -> None:
    """Raises RefusedError for a response format that this model does not take."""
    given = of_type(body, PATH, dict)
    if given is None:
        return
    kinds = ("text", "json_object", "json_schema") if knows_schemas else ("text", "json_object")
    if one_of(given.get("type"), kinds, f"{PATH}.type") != "json_schema":
        known_fields(given, {"type"}, PATH)
        return
    known_fields(given, {"type", "json_schema"}, PATH)
    wrapped = known_fields(
        required(given, "json_schema", dict, PATH), {"name", "description", "schema", "strict"}, f"{PATH}.json_schema"
    )
    name = required(wrapped, "name", str, f"{PATH}.json_schema")
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
        raise RefusedError(400, f"Invalid '{PATH}.json_schema.name': {name!r}.", code="invalid_value", param=PATH)
    schema = required(wrapped, "schema", dict, f"{PATH}.json_schema")
    if of_type(wrapped, "strict", bool):
        if schema.get("type") != "object":
            _refuse(name, (), "schema must be a JSON Schema of 'type: \"object\"'")
        _check(name, schema, (), 0, _TAKEN if tuned else _TAKEN | _NOT_BY_TUNED)


def _check(name: str, schema: Any, path: tuple[str, ...], depth: int, taken: set[str]) -> None:
    if not isinstance(schema, dict):
        _refuse(name, path, "a schema must be an object")
    if depth > _MOST_DEEP:
        _refuse(name, path, "nested too deep")
    for key in schema:
        if key not in taken:
            _refuse(name, path, f"'{key}' is not permitted")
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False:
            _refuse(name, path, "'additionalProperties' is required to be supplied and to be false")
        if sorted(schema.get("required", [])) != sorted(properties):
            _refuse(name, path, "'required' is required to be an array including every key in properties")
        for key, inner in properties.items():
            _check(name, inner, (*path, "properties", key), depth + 1, taken)
    if schema.get("type") == "array":
        if "items" not in schema:
            _refuse(name, path, "array schema missing items")
        _check(name, schema["items"], (*path, "items"), depth + 1, taken)
    for key, inner in {**schema.get("$defs", {}), **schema.get("definitions", {})}.items():
        _check(name, inner, ("$defs", key), depth, taken)
    for index, inner in enumerate(schema.get("anyOf", [])):
        _check(name, inner, (*path, "anyOf", str(index)), depth, taken)
    if not {"type", "enum", "const", "anyOf", "$ref"} & set(schema):
        _refuse(name, path, "schema must have a 'type' key")


def _refuse(name: str, path: tuple[str, ...], message: str) -> None:
    raise RefusedError(
        400,
        f"Invalid schema for response_format '{name}': In context={path}, {message}.",
        code="invalid_json_schema",
        param=PATH,
    )
