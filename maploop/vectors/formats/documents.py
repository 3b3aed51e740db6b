"""JSON files: parsed once, then read as GeoJSON, COCO, Label Studio or labelme by what is inside."""

import json
from pathlib import Path
from typing import Any

import orjson

from maploop.errors import VectorError
from maploop.vectors.formats.coco import is_coco, is_coco_results, read_coco, read_coco_results
from maploop.vectors.formats.geojson import features_in, is_geojson, read_features_of_geojson, read_geojson
from maploop.vectors.formats.label_studio import is_label_studio, read_label_studio
from maploop.vectors.formats.ogr import first_line
from maploop.vectors.formats.pixels import Pictures
from maploop.vectors.formats.table import SourceTable
from maploop.vectors.formats.tools import is_labelme, read_labelme, way_to_convert

MAX_JSON_BYTES = 2 * 2**30
_ONLY_PYTHON = (b"NaN", b"Infinity", b"\\ud", b"\\uD")  # numbers and lone surrogates that orjson refuses
_RECORD_SEPARATOR = b"\x1e"  # RFC 8142 puts one before each feature
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_json(path: Path, pictures: Pictures | None = None, *, shown: Path | None = None) -> SourceTable:
    """The rows of a GeoJSON (whole or a feature a line), COCO, Label Studio or labelme file. Raises VectorError.

    `pictures` tells of the images of a list of COCO results; `shown` is the path for messages.
    """
    shown = shown or path
    data = _bytes(path, shown)
    try:
        document = _parse(data)
    except (ValueError, RecursionError) as error:
        features = _feature_lines(data)
        if features is None:
            raise VectorError(_not_sound(data, shown, error)) from error
        table = read_features_of_geojson(features)
        _refuse_latin(data, shown)
        return table
    try:
        table = _read(document, pictures or Pictures(), shown)
    except VectorError as error:
        text = str(error)
        msg = text if text.startswith(str(shown)) else f"{shown} cannot be read: {text}."
        raise VectorError(msg) from error
    return table


def json_document(path: Path) -> Any:
    """A parsed JSON file. Raises VectorError."""
    if not path.is_file():
        msg = f"{path} is missing: give a JSON file."
        raise VectorError(msg)
    data = _bytes(path, path)
    try:
        return _parse(data)
    except (ValueError, RecursionError) as error:
        raise VectorError(_not_sound(data, path, error)) from error


def _bytes(path: Path, shown: Path) -> bytes:
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        msg = f"{shown} has {size / 2**30:.1f} GB of JSON: split it, or convert it to GeoPackage."
        raise VectorError(msg)
    return path.read_bytes().removeprefix(_BYTE_ORDER_MARK).strip()


def _read(document: Any, pictures: Pictures, shown: Path) -> SourceTable:
    if is_coco(document):
        return read_coco(document)
    if is_coco_results(document):
        return read_coco_results(document, pictures)
    if is_label_studio(document):
        return read_label_studio(document)
    if is_geojson(document):
        return read_geojson(document)
    if is_labelme(document):
        return read_labelme(document, shown)
    if isinstance(document, list) and document and is_geojson(document[0]):
        return read_features_of_geojson(features_in(document))
    if way := way_to_convert(document):
        raise VectorError(way)
    msg = (
        f"{shown} is JSON, but not GeoJSON, COCO (images and annotations, or a list of results), labelme or a "
        "Label Studio export (not JSON-MIN)."
    )
    raise VectorError(msg)


def _not_sound(data: bytes, shown: Path, error: Exception) -> str:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return f"{shown} is not UTF-8 (byte {wrong.start:,}): save it as UTF-8, or export it again."
    return f"{shown} is not sound JSON ({first_line(error)}): export it again."


def _refuse_latin(data: bytes, shown: Path) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        msg = f"{shown} is not UTF-8 (byte {error.start:,}): save it as UTF-8, or export it again."
        raise VectorError(msg) from error


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if any(token in data for token in _ONLY_PYTHON):
            return json.loads(data)
        raise


def _feature_lines(data: bytes) -> list[Any] | None:
    """Newline-delimited features, None for a line that is not JSON; None altogether when the first is no GeoJSON.

    A line may be a whole collection or a bare geometry.
    """
    lines = [line for line in (line.strip(_RECORD_SEPARATOR + b" \t\r") for line in data.split(b"\n")) if line]
    documents: list[Any] = []
    for line in lines:
        try:
            documents.append(_parse(line))
        except (ValueError, RecursionError):
            documents.append(None)
        if len(documents) == 1 and not is_geojson(documents[0]):
            return None
    return features_in(documents) or None
