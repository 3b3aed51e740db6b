"""JSON files: parsed once, then read as GeoJSON, COCO or Label Studio by what is inside."""

import json
from pathlib import Path
from typing import Any

import orjson

from maploop.errors import VectorError
from maploop.vectors.formats.coco import is_coco, read_coco
from maploop.vectors.formats.geojson import is_geojson, read_features_of_geojson, read_geojson
from maploop.vectors.formats.label_studio import is_label_studio, read_label_studio
from maploop.vectors.formats.ogr import first_line
from maploop.vectors.formats.table import SourceTable

MAX_JSON_BYTES = 2 * 2**30
_ONLY_PYTHON = (b"NaN", b"Infinity", b"\\ud", b"\\uD")  # numbers and lone surrogates that orjson refuses
_RECORD_SEPARATOR = b"\x1e"  # RFC 8142 puts one before each feature
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_json(path: Path) -> SourceTable:
    """The rows of a GeoJSON (whole or a feature a line), COCO or Label Studio file. Raises VectorError."""
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        msg = f"{path} has {size / 2**30:.1f} GB of JSON: split it, or convert it to GeoPackage."
        raise VectorError(msg)
    data = path.read_bytes().removeprefix(_BYTE_ORDER_MARK).strip()
    try:
        document = _parse(data)
    except (ValueError, RecursionError) as error:
        features = _feature_lines(data)
        if features is None:
            msg = f"{path} is not sound JSON ({first_line(error)}): export it again."
            raise VectorError(msg) from error
        return read_features_of_geojson(features)
    try:
        if is_coco(document):
            return read_coco(document)
        if is_label_studio(document):
            return read_label_studio(document)
        if is_geojson(document):
            return read_geojson(document)
    except VectorError as error:
        msg = f"{path} cannot be read: {error}."
        raise VectorError(msg) from error
    msg = f"{path} is JSON, but not GeoJSON, COCO (images and annotations) or a Label Studio export (not JSON-MIN)."
    raise VectorError(msg)


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if any(token in data for token in _ONLY_PYTHON):
            return json.loads(data)
        raise


def _feature_lines(data: bytes) -> list[Any] | None:
    """Newline-delimited features, None for a line that is not JSON; None altogether when the first is not a feature."""
    lines = [line for line in (line.strip(_RECORD_SEPARATOR + b" \t\r") for line in data.split(b"\n")) if line]
    features = []
    for line in lines:
        try:
            features.append(_parse(line))
        except (ValueError, RecursionError):
            features.append(None)
        if len(features) == 1 and not (is_geojson(features[0]) and features[0]["type"] == "Feature"):
            return None
    return features or None
