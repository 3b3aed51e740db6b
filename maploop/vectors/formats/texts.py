"""CSV with a column of well-known text, or of longitudes and latitudes."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from maploop.errors import VectorError
from maploop.vectors.formats.table import SourceTable

MAX_CSV_BYTES = 2 * 2**30
_MAX_FIELD = 64 * 2**20
_GEOMETRY = ("wkt", "geometry", "geom", "the_geom", "wkt_geom", "geometry_wkt", "shape")
_PLACES = (("longitude", "latitude"), ("lon", "lat"), ("lng", "lat"), ("long", "lat"), ("x", "y"))


def read_csv(path: Path, *, shown: Path) -> SourceTable:
    """The rows of a CSV. Raises VectorError when no column holds geometries."""
    if path.stat().st_size > MAX_CSV_BYTES:
        msg = f"{shown} has {path.stat().st_size / 2**30:.1f} GB of text: split it, or convert it to GeoPackage."
        raise VectorError(msg)
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{shown} is not UTF-8 (byte {error.start:,}): save it as UTF-8."
        raise VectorError(msg) from error
    csv.field_size_limit(_MAX_FIELD)
    try:
        dialect = csv.Sniffer().sniff(text[: text.find("\n") + 1], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        names, *rows = csv.reader(io.StringIO(text), dialect) or [[]]
    except (csv.Error, ValueError) as error:
        msg = f"{shown} is not sound CSV ({error}): export it again."
        raise VectorError(msg) from error
    rows = [row for row in rows if row]
    by_name = {name.strip().casefold(): place for place, name in reversed(list(enumerate(names)))}
    column = next((by_name[name] for name in _GEOMETRY if name in by_name), None)
    if column is not None:
        objects, problems = _from_text([_at(row, column) for row in rows])
        used = {column}
    else:
        pair = next((pair for pair in _PLACES if pair[0] in by_name and pair[1] in by_name), None)
        if pair is None:
            listed = ", ".join(name[:40] for name in names[:12])
            msg = f"{shown} has no column of geometries, such as wkt, or of lon and lat: it has {listed}."
            raise VectorError(msg)
        x, y = by_name[pair[0]], by_name[pair[1]]
        objects, problems = _from_numbers([(_at(row, x), _at(row, y)) for row in rows])
        used = {x, y}
    properties: list[dict[str, Any]] = [
        {name: value for place, (name, value) in enumerate(zip(names, row, strict=False)) if place not in used}
        for row in rows
    ]
    return SourceTable(objects, properties, problems=problems)


def _at(row: list[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def _from_text(texts: list[str]) -> tuple[Any, dict[int, str]]:
    """Well-known text, its SRID left out -> geometries and the rows that are none."""
    plain = [text.split(";", 1)[1] if text[:5].upper() == "SRID=" and ";" in text else text for text in texts]
    values = np.array([text or None for text in plain], dtype=object)
    geometries = np.asarray(shapely.from_wkt(values, on_invalid="ignore"), dtype=object).reshape(-1)
    missing = np.flatnonzero(shapely.is_missing(geometries)).tolist()
    for row in missing:
        try:
            geometries[row] = shapely.from_wkb(plain[row]) if plain[row] else None  # hexadecimal, as databases write it
        except (shapely.errors.GEOSException, NotImplementedError, ValueError):
            geometries[row] = None
    problems = {
        row: f"{plain[row][:40]!r} is not well-known text" for row in missing if plain[row] and geometries[row] is None
    }
    return geometries, problems


def _from_numbers(pairs: list[tuple[str, str]]) -> tuple[Any, dict[int, str]]:
    geometries = np.full(len(pairs), None, dtype=object)
    problems = {}
    for row, (x, y) in enumerate(pairs):
        try:
            geometries[row] = shapely.Point(float(x.replace(",", ".")), float(y.replace(",", ".")))
        except ValueError:
            problems[row] = f"{x[:20]!r}, {y[:20]!r} is not a place"
    return geometries, problems
