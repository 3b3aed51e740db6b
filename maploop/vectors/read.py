"""Reads a file of features in any format: checked, repaired, mapped to the project's classes, with a report by row."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from maploop.errors import VectorError
from maploop.imagery.tilemath import Tile
from maploop.vectors import fields
from maploop.vectors.check import Notes, Parts, join, leave_out, mend, take_apart
from maploop.vectors.features import FeatureTable, ReadReport
from maploop.vectors.formats.table import SourceTable, stacked
from maploop.vectors.geometry import GeometryType, as_geometries
from maploop.vectors.geometry.wrapping import wrap_longitudes
from maploop.vectors.load import load_tables

_WGS84 = pyproj.CRS.from_epsg(4326)
_PLURALS: dict[GeometryType, str] = {"polygon": "polygons", "line": "lines", "point": "points"}


def read_features(
    path: Path | str,
    *,
    classes: Mapping[str, GeometryType],
    class_name: str | None = None,
    class_field: str | None = None,
    score_field: str | None = None,
    source_crs: str | None = None,
    layer: str | None = None,
    images: Path | str | None = None,
    image_size: int | None = None,
    keep_crowds: bool = False,
) -> tuple[FeatureTable, ReadReport]:
    """Read features of any format that `load` knows, zipped or gzipped too.

    classes         the project's classes and their geometry types
    class_name      the class of every row; else `class_field` names it; else a field such as class, label or category
                    in which a class turns up; else the only class of the row's geometry type
    score_field     else a field called score, confidence or probability, if there is one
    source_crs      in place of what the file says; without either, degrees are EPSG:4326
    layer           of a file with several, or a file in a zip; else all with geometries, rows numbered on
    images          a COCO file that lists the images that a list of COCO results means
    image_size      the side of those images in pixels, where nothing says it
    keep_crowds     rows of COCO's iscrowd too, which are no single features: they are `table.crowds`; else left out

    Every row of the file is either in the table or among the skipped; of rows that tiles cut from one feature the first
    is in the table. Raises VectorError when the file as a whole, or
    one of the choices, does not fit; never another error for anything inside the file.
    """
    path = Path(path)
    with _garbage_collection_paused():
        source, wrapped = _load(path, layer, source_crs, Path(images) if images else None, image_size)
        if class_name is None and class_field is None and source.unclassed:
            msg = f"{path} cannot be read: {source.unclassed} (--class NAME)."
            raise VectorError(msg)
        names = fields.names_of_fields(source.properties)
        notes = Notes()
        for row, reason in source.problems.items():
            notes.leave_out(row, reason)
        for row in wrapped:
            notes.repair(row, "longitudes beyond 180 degrees wrapped")
        for row in source.crowds if not keep_crowds else ():
            notes.leave_out(row, "it is ground with many features, none of its own (iscrowd)")
            source.geometries[row] = None
        parts = take_apart(source.geometries, notes)
        parts = _classified(parts, source, _Choice(path, classes, names, class_name, class_field), notes)
        parts = mend(parts, notes)
        found = parts.rows
        parts = join(_of_first_rows(parts, source), notes, apart=wrapped)
        scores = _scores(source, names, score_field, path, notes)
        rows = parts.rows.tolist()
        texts = {row: fields.as_texts(source.properties[row]) for row in dict.fromkeys(rows)}
        table = FeatureTable(
            parts.rows,
            parts.geometries,
            parts.class_names,
            scores[parts.rows],
            [texts[row] for row in rows],
            crowds=np.isin(parts.rows, sorted(source.crowds)),
        )
        others = found[np.isin(found, sorted(source.joined_to))]
        report = notes.report(len(source), np.concatenate([parts.rows, others]))
        report.looked_at = _looked_at(source, notes)
        return table, report


def _looked_at(source: SourceTable, notes: Notes) -> list[Tile]:
    """The tiles looked at that lack no row."""
    lacking = {source.tiles[row] for row in notes.lacking - source.passed_over} if source.tiles else set()
    return [tile for tile in source.looked_at if tile not in lacking]


def _of_first_rows(parts: Parts, source: SourceTable) -> Parts:
    """Parts of features that tiles cut, all numbered as their first row is."""
    if not source.joined_to:
        return parts
    parts.rows = np.array([source.joined_to.get(row, row) for row in parts.rows.tolist()], dtype=np.int64)
    return parts.kept(np.argsort(parts.rows, kind="stable"))


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Parsing makes millions of lists and no garbage; looking for some takes four fifths of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load(
    path: Path, layer: str | None, source_crs: str | None, images: Path | None, image_size: int | None
) -> tuple[SourceTable, list[int]]:
    """All rows of a file with geometries in EPSG:4326, and those whose longitudes were wrapped."""
    told = _told_crs(source_crs)
    tables = load_tables(path, layer=layer, images=images, image_size=image_size)
    for table in tables:
        if table.crs_problem and told is None:
            msg = f"{path} cannot be read: {table.crs_problem}."
            raise VectorError(msg)
        _reproject(table, table.crs if table.on_tiles else told or table.crs, path)
    source = stacked(tables)
    source.geometries, wrapped = wrap_longitudes(source.geometries)
    return source, wrapped.tolist()


def _told_crs(source_crs: str | None) -> pyproj.CRS | None:
    if source_crs is None:
        return None
    try:
        return pyproj.CRS.from_user_input(source_crs)
    except pyproj.exceptions.CRSError as error:
        msg = f"{source_crs[:60]!r} is not a CRS: write it like EPSG:32636."
        raise VectorError(msg) from error


def _reproject(table: SourceTable, crs: pyproj.CRS | None, path: Path) -> None:
    """Bring a table to EPSG:4326. Without a CRS most rows must fit degrees; the others are left for the checks."""
    if crs is None:
        bounds = shapely.bounds(table.geometries)
        known = np.isfinite(bounds).all(axis=1)
        fits = (np.abs(bounds[known]) <= (360, 90, 360, 90)).all(axis=1)
        if 2 * int(fits.sum()) < int(known.sum()):
            msg = f"{path} does not say its CRS, and its coordinates are not degrees: give it, such as EPSG:32636."
            raise VectorError(msg)
    elif not crs.equals(_WGS84, ignore_axis_order=True):
        try:
            transformer = pyproj.Transformer.from_crs(crs, _WGS84, always_xy=True)
        except pyproj.exceptions.ProjError as error:
            msg = f"{path} is in {crs.name[:60]!r}, no CRS of the map: give the right one, such as EPSG:32636."
            raise VectorError(msg) from error

        def to_degrees(points: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

        table.geometries = as_geometries(shapely.transform(table.geometries, to_degrees))
    table.crs = _WGS84


@dataclass(frozen=True)
class _Choice:
    """How classes are to be found, as the caller said it."""

    path: Path
    classes: Mapping[str, GeometryType]
    names: list[str]
    class_name: str | None
    class_field: str | None

    def known(self) -> str:
        return ", ".join(self.classes) or "none"


def _classified(parts: Parts, source: SourceTable, choice: _Choice, notes: Notes) -> Parts:
    """Give each part its class; parts without one, or of another type than their class, are left out."""
    field = choice.class_field or source.class_field
    if choice.class_name is not None:
        parts.class_names[:] = _spelled(choice)
    elif field is not None and (choice.class_field or len(source)):
        _by_field(parts, source, fields.find_field(choice.names, field, what="class", path=choice.path), choice, notes)
    elif source.is_tagged:
        names, reasons = fields.classes_by_tags(source.properties, choice.classes)
        for row, reason in reasons.items():
            notes.leave_out(row, reason, lacking=False)
        parts.class_names[:] = names[parts.rows]
    elif guessed := fields.guess_class_field(source.properties, choice.names, choice.classes):
        _by_field(parts, source, guessed, choice, notes)
    else:
        _by_type(parts, choice, notes)
    parts = parts.kept(np.array([name is not None for name in parts.class_names], dtype=np.bool_))
    fits = np.ones(len(parts.rows), dtype=np.bool_)
    for name, wanted in choice.classes.items():
        wrong = (parts.class_names == name) & (parts.types != wanted)
        for geometry_type in _PLURALS:
            reason = f"it is a {geometry_type}, but class {name!r} takes {_PLURALS[wanted]}"
            leave_out(parts, wrong & (parts.types == geometry_type), reason, notes)
        fits &= ~wrong
    return parts.kept(fits)


def _spelled(choice: _Choice) -> str:
    for name in choice.classes:
        if name.casefold() == str(choice.class_name).strip().casefold():
            return name
    msg = f"The project has no class {str(choice.class_name)[:60]!r}: choose one of {choice.known()}."
    raise VectorError(msg)


def _by_field(parts: Parts, source: SourceTable, field: str, choice: _Choice, notes: Notes) -> None:
    names, reasons = fields.classes_of_rows(source.properties, field, choice.classes)
    for row, reason in reasons.items():
        named = source.properties[row].get(field) not in (None, "")
        notes.leave_out(row, reason, lacking=not named)
    parts.class_names[:] = names[parts.rows]


def _by_type(parts: Parts, choice: _Choice, notes: Notes) -> None:
    for geometry_type, plural in _PLURALS.items():
        where = parts.types == geometry_type
        names = [name for name, takes in choice.classes.items() if takes == geometry_type]
        if not names:
            leave_out(parts, where, f"no class of the project takes {plural}", notes, lacking=False)
        elif len(names) == 1:
            parts.class_names[where] = names[0]
        elif where.any():
            msg = f"{choice.path} does not say which {plural} are {' or '.join(names)}: name a class or class field."
            raise VectorError(msg)


def _scores(
    source: SourceTable, names: list[str], score_field: str | None, path: Path, notes: Notes
) -> NDArray[np.float64]:
    told = score_field is not None
    field = (
        fields.find_field(names, str(score_field), what="score", path=path) if told else fields.guess_score_field(names)
    )
    if field is None:
        return np.full(len(source), np.nan)
    scores, changes = fields.scores_of_rows(source.properties, field)
    for row, how in changes.items():
        notes.repair(row, how)
    return scores
