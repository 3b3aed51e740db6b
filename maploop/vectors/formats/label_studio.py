"""Label Studio's JSON export over images of tiles: polygons, rectangles, keypoints, vectors, in percent of an image."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pyproj
import shapely

from maploop.errors import VectorError
from maploop.imagery.tilemath import Tile
from maploop.vectors.formats.geojson import geometries_of_json
from maploop.vectors.formats.masks import trace_brush
from maploop.vectors.formats.ogr import first_line
from maploop.vectors.formats.pixels import tile_named, to_ground
from maploop.vectors.formats.table import SourceTable

_CIRCLE = 64  # corners of an ellipse
_NOT_DRAWN = frozenset({"choices", "textarea", "rating", "number", "taxonomy", "datetime", "pairwise", "relation"})


def is_label_studio(document: object) -> bool:
    """Whether a parsed JSON document is a list of tasks."""
    return isinstance(document, list) and any(
        isinstance(task, Mapping)
        and isinstance(task.get("data"), Mapping)
        and ("annotations" in task or "predictions" in task)
        for task in document
    )


def read_label_studio(document: list[Any]) -> SourceTable:
    """The regions of all tasks, in the order of the file, their label in the field `label`.

    One answer of a task counts: the annotation marked as ground truth, else the last one that was not cancelled, else
    the last prediction. The regions of the others become problems, as they would lie on top of it. Raises VectorError.
    """
    rows = [row for task in document for row in _rows_of_task(task)]
    tiles = [row.tile for row in rows]
    if rows and not any(tiles):
        msg = "its tasks do not say which tiles their images are: name the images z/x/y.png or ...-x-y-z.png"
        raise VectorError(msg)
    geometries, unreadable = geometries_of_json([row.shape for row in rows])
    percent = np.full(len(rows), 100.0).tolist()
    problems = {number: row.problem for number, row in enumerate(rows) if row.problem}
    return SourceTable(
        to_ground(geometries, tiles, percent, percent),
        [row.fields for row in rows],
        pyproj.CRS.from_epsg(4326),
        {**unreadable, **problems},
        class_field="label",
        on_tiles=True,
        looked_at=_finished(document),
        passed_over={number for number, row in enumerate(rows) if row.is_passed_over},
        tiles=tiles,
    )


def _finished(document: list[Any]) -> list[Tile]:
    """The tiles of the tasks with an annotation that was not cancelled, with regions or without."""
    tasks = [task for task in document if isinstance(task, Mapping)]
    finished = [task for task in tasks if any(_is_finished(answer) for answer in _listed(task.get("annotations")))]
    tiles = (_image(task.get("data"))[1] for task in finished)
    return list(dict.fromkeys(tile for tile in tiles if tile is not None))


def _is_finished(answer: object) -> bool:
    return isinstance(answer, Mapping) and not answer.get("was_cancelled") and isinstance(answer.get("result"), list)


class _Row(NamedTuple):
    """One region: a GeoJSON geometry in percent of its image, or the problem that it has none."""

    shape: object
    fields: dict[str, Any]
    tile: Tile | None
    problem: str
    is_passed_over: bool = False


def _rows_of_task(task: object) -> Iterator[_Row]:
    """The regions of a task, those of all its answers."""
    if not isinstance(task, Mapping):
        yield _Row(None, {}, None, "it is not a Label Studio task")
        return
    image, tile = _image(task.get("data"))
    answers = [
        (kind, answer)
        for key, kind in (("annotations", "annotation"), ("predictions", "prediction"))
        for answer in _listed(task.get(key))
        if isinstance(answer, Mapping)
    ]
    chosen = _answer_that_counts(answers)
    for kind, answer in answers:
        for region in _listed(answer.get("result")):
            fields: dict[str, Any] = {"task": task.get("id"), "image": image, "source": kind}
            if not isinstance(region, Mapping):
                yield _Row(None, fields, tile, "it is not a Label Studio region")
                continue
            value = region.get("value")
            value = value if isinstance(value, Mapping) else {}
            fields["label"] = _label(region, value)
            fields["score"] = region.get("score", answer.get("score"))
            if answer is not chosen:
                why = "another answer of its task was read in its place"
                if chosen is None:
                    why = "its annotation was skipped (cancelled)"
                yield _Row(None, fields, tile, why, is_passed_over=True)
            elif str(region.get("type")) in _NOT_DRAWN:
                yield _Row(None, fields, tile, f"{region['type']!r} is not a shape on the map", is_passed_over=True)
            elif tile is None:
                yield _Row(None, fields, tile, f"its image {str(image)[:60]!r} does not say which tile it is")
            else:
                shape, problem = _shape(region, value)
                yield _Row(shape, fields, tile, problem)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _answer_that_counts(answers: list[tuple[str, Mapping[str, Any]]]) -> Mapping[str, Any] | None:
    annotations = [answer for kind, answer in answers if kind == "annotation" and not answer.get("was_cancelled")]
    predictions = [answer for kind, answer in answers if kind == "prediction"]
    marked = [answer for answer in annotations if answer.get("ground_truth")]
    for group in (marked, annotations, predictions):
        if group:
            return group[-1]
    return None


def _image(data: object) -> tuple[str | None, Tile | None]:
    """The field of a task's data that names a tile: a path, a URL, or a path in a URL's query (local files)."""
    texts = [value for value in data.values() if isinstance(value, str)] if isinstance(data, Mapping) else []
    for text in texts:
        try:
            url = urlsplit(text)
        except ValueError:
            continue
        queried = [value for values in parse_qs(url.query).values() for value in values]
        for candidate in (text, unquote(url.path), *queried):
            if tile := tile_named(candidate):
                return text, tile
    return (texts[0] if texts else None), None


def _label(region: Mapping[str, Any], value: Mapping[str, Any]) -> object:
    labels = value.get(str(region.get("type"))) or value.get("labels")
    return labels[0] if isinstance(labels, list) and labels else None


def _shape(region: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[object, str]:
    """A region as a GeoJSON geometry in percent of the image, or why it has none."""
    kind = str(region.get("type"))
    if kind.startswith("brush"):
        return _brush(region, value)
    draw = next((draw for name, draw in _SHAPES.items() if kind.startswith(name)), None)
    if draw is None:
        return None, f"{kind[:40]!r} is not a shape on the map"
    try:
        geometry_type, coordinates = draw(region, value)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return None, f"its {kind[:40]} lacks coordinates"
    return {"type": geometry_type, "coordinates": coordinates}, ""


def _brush(region: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[object, str]:
    """The outline of what a brush painted, in percent of its image."""
    try:
        width, height = int(region["original_width"]), int(region["original_height"])
        outline = trace_brush(value.get("rle"), width, height)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return None, f"its brush cannot be read: {first_line(error)}"
    percent = shapely.transform(outline, lambda points: points * (100 / width, 100 / height))
    return shapely.geometry.mapping(percent), ""


_Value = Mapping[str, Any]


def _polygon(_: _Value, value: _Value) -> tuple[str, list[Any]]:
    return "Polygon", [_closed(value["points"])]


def _keypoint(_: _Value, value: _Value) -> tuple[str, list[Any]]:
    return "Point", [float(value["x"]), float(value["y"])]


def _vector(_: _Value, value: _Value) -> tuple[str, list[Any]]:
    path = [[float(vertex["x"]), float(vertex["y"])] for vertex in value["vertices"]]
    return ("Polygon", [_closed(path)]) if value.get("closed") else ("LineString", path)


def _closed(points: list[Any]) -> list[Any]:
    return points if points[0] == points[-1] else [*points, points[0]]


def _ellipse(region: _Value, value: _Value) -> tuple[str, list[Any]]:
    """An ellipse turned clockwise about its middle, its radii in percent of width and height."""
    x, y, across, down = (float(value[name]) for name in ("x", "y", "radiusX", "radiusY"))
    turn = math.radians(float(value.get("rotation") or 0))
    image_width = float(region.get("original_width") or 1)
    image_height = float(region.get("original_height") or image_width)
    ring = []
    for step in range(_CIRCLE):
        angle = 2 * math.pi * step / _CIRCLE
        right, below = across * image_width * math.cos(angle), down * image_height * math.sin(angle)
        turned = right * math.cos(turn) - below * math.sin(turn), right * math.sin(turn) + below * math.cos(turn)
        ring.append([x + turned[0] / image_width, y + turned[1] / image_height])
    return "Polygon", [_closed(ring)]


def _rectangle(region: _Value, value: _Value) -> tuple[str, list[Any]]:
    """A rectangle turned clockwise about its top-left corner, as Label Studio turns it: in pixels."""
    x, y, width, height = (float(value[name]) for name in ("x", "y", "width", "height"))
    turn = math.radians(float(value.get("rotation") or 0))
    image_width = float(region.get("original_width") or 1)
    image_height = float(region.get("original_height") or image_width)
    corners = []
    for across, down in ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height), (0.0, 0.0)):
        right, below = across * image_width, down * image_height
        turned = right * math.cos(turn) - below * math.sin(turn), right * math.sin(turn) + below * math.cos(turn)
        corners.append([x + turned[0] / image_width, y + turned[1] / image_height])
    return "Polygon", [corners]


_SHAPES: dict[str, Callable[[_Value, _Value], tuple[str, list[Any]]]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "keypoint": _keypoint,
    "vector": _vector,
    "ellipse": _ellipse,
}
