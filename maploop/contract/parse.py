"""A model's answer -> features on the ground. What does not fit the contract is refused, with what and where."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import shapely
from pydantic import ValidationError
from shapely.geometry.base import BaseGeometry

from maploop.contract.schema import Answer, FeatureAnswer, Position
from maploop.errors import AnswerError
from maploop.imagery.tilemath import Tile, from_pixels
from maploop.vectors.geometry import MAX_CROSSINGS, GeometryType, as_geometries, repair_polygons, tangled

if TYPE_CHECKING:
    from maploop.contract.prompt import Contract

MAX_CHARACTERS = 4_000_000
MAX_SHOWN = 60


class UnfitFeatureError(AnswerError):
    """One feature of an answer does not fit the contract; `reason` says why in words that can be counted."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class AnsweredFeature:
    """One feature of an answer: valid, EPSG:4326; `repaired` when its outline crossed itself."""

    class_name: str
    geometry: BaseGeometry
    repaired: bool = False


def extract_answer(text: str) -> str:
    """The JSON object in the chatter of a model without structured output: from its first brace to its last.

    Text without one comes back as it is, for `parse_answer` to refuse.
    """
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def parse_answer(text: str, tile: Tile, contract: "Contract") -> list[AnsweredFeature]:
    """Read an answer about a tile, in the order it was given.

    A polygon that crosses itself is repaired, each part a feature of its own. Raises AnswerError, for the answer as a
    whole, when it is malformed or cut short, names an unknown class, leaves the image, or draws nothing.
    """
    features, unfit = read_answer(text, tile, contract)
    if unfit:
        raise unfit[0]
    return features


def read_answer(text: str, tile: Tile, contract: "Contract") -> tuple[list[AnsweredFeature], list[UnfitFeatureError]]:
    """Like `parse_answer`, but features that do not fit are left out and come beside those that do.

    Raises AnswerError when the answer as a whole is malformed or cut short.
    """
    if len(text) > MAX_CHARACTERS:
        msg = f"The answer has {len(text):,} characters: more than {MAX_CHARACTERS:,} are not read."
        raise AnswerError(msg)
    try:
        answer = Answer.model_validate_json(text)
    except ValidationError as error:
        raise AnswerError(_explain(error, text)) from error
    features: list[AnsweredFeature] = []
    unfit: list[UnfitFeatureError] = []
    for index, item in enumerate(answer.features):
        try:
            geometries, repaired = _geometries(item, f"features[{index}]", contract)
        except UnfitFeatureError as error:
            unfit.append(error)
            continue
        for geometry in geometries:
            for ground in _on_the_ground(geometry, tile, contract.limit):
                features.append(AnsweredFeature(item.class_name, ground, repaired))
    return features, unfit


def _on_the_ground(geometry: BaseGeometry, tile: Tile, limit: int) -> list[BaseGeometry]:
    """A geometry in units as valid ones in EPSG:4326, polygons counter-clockwise.

    Degrees are rounded: a hole that all but touches the outline may cross it there, by less than anybody can see.
    """
    ground = from_pixels(geometry, tile, limit)
    if ground.geom_type != "Polygon":
        return [ground]
    parts = [ground] if ground.is_valid else list(repair_polygons(as_geometries([ground]))[0])
    return [shapely.orient_polygons(part) for part in parts]


def _explain(error: ValidationError, text: str) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        reason = str(first.get("ctx", {}).get("error", first["msg"]))
        if "EOF" in reason:
            return f"The answer is cut short after {len(text):,} characters ({_short(text[-30:])}): allow more tokens."
        return f"The answer is not JSON: {reason}, in {_short(text)}."
    where = ""
    for step in first["loc"]:
        name = step if isinstance(step, str) and step.isidentifier() and len(step) < MAX_SHOWN else _short(step)
        where += f"[{step}]" if isinstance(step, int) else f".{name}" if where else name
    if first["type"] == "missing":
        return f"{where} is missing from the answer."
    if first["type"] == "extra_forbidden":
        return f"{where} does not belong into the answer."
    return f"{where or 'The answer'}: {_short(first['input'])} does not fit: {first['msg'].lower()}."


def _geometries(item: FeatureAnswer, where: str, contract: "Contract") -> tuple[list[BaseGeometry], bool]:
    """The feature's geometries in units, and whether they had to be repaired."""
    expected = contract.geometry_types.get(item.class_name)
    if expected is None:
        known = ", ".join(contract.geometry_types)
        msg = f"{where}.class: {_short(item.class_name)} is not a class: use {known}."
        raise UnfitFeatureError(msg, "not a class")
    if item.geometry != expected:
        msg = f"{where}.geometry: {item.geometry!r} does not fit, {item.class_name} is a {expected}."
        raise UnfitFeatureError(msg, "another geometry type")
    if item.holes and expected != "polygon":
        msg = f"{where}.holes: a {expected} has no holes."
        raise UnfitFeatureError(msg, "holes where there are none")
    points = _positions(item.points, f"{where}.points", contract)
    if expected == "polygon":
        holes = [_positions(hole, f"{where}.holes[{i}]", contract) for i, hole in enumerate(item.holes)]
        return _polygons(points, holes, where)
    return [_line_or_point(points, expected, where)], False


def _positions(pairs: list[Position], where: str, contract: "Contract") -> list[tuple[int, int]]:
    limit = contract.limit
    for index, pair in enumerate(pairs):
        if len(pair) != 2:
            msg = f"{where}[{index}]: {_short(pair)} is not a point, it needs two whole numbers."
            raise UnfitFeatureError(msg, "not a position")
        for value in pair:
            if not 0 <= value <= limit:
                msg = f"{where}[{index}]: {_short(value)} is outside 0 to {limit}."
                raise UnfitFeatureError(msg, "outside the image")
    return [contract.coordinates.read(pair) for pair in pairs]


def _line_or_point(points: list[tuple[int, int]], expected: GeometryType, where: str) -> BaseGeometry:
    if expected == "point":
        if len(points) != 1:
            msg = f"{where}.points: a point needs one position, not {len(points)}."
            raise UnfitFeatureError(msg, "not one position")
        return shapely.Point(points[0])
    if len(set(points)) < 2:
        msg = f"{where}.points: a line needs two different positions."
        raise UnfitFeatureError(msg, "too few positions")
    line = cast("BaseGeometry", shapely.remove_repeated_points(shapely.LineString(points)))
    _refuse_tangled(line, where)
    return line


def _refuse_tangled(geometry: BaseGeometry, where: str) -> None:
    if tangled(as_geometries([geometry])).any():
        msg = f"{where}.points: it crosses itself more than {MAX_CROSSINGS:,} times."
        raise UnfitFeatureError(msg, "crosses itself everywhere")


def _polygons(
    outline: list[tuple[int, int]], holes: list[list[tuple[int, int]]], where: str
) -> tuple[list[BaseGeometry], bool]:
    for name, ring in (("points", outline), *((f"holes[{index}]", hole) for index, hole in enumerate(holes))):
        if len(set(ring)) < 3:
            msg = f"{where}.{name}: a ring needs three different positions."
            raise UnfitFeatureError(msg, "too few positions")
    polygon = shapely.Polygon(outline, holes)
    if polygon.is_valid and polygon.area > 0:
        return [polygon], False
    _refuse_tangled(polygon, where)
    parts, _ = repair_polygons(as_geometries([polygon]))
    if not len(parts):
        msg = f"{where}.points: the outline encloses no area."
        raise UnfitFeatureError(msg, "encloses no area")
    return list(parts), True


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
