"""Imagery into a project: looked at once, referenced where it lies, its tiles made."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from db.bulk import lock_project
from db.models import Imagery
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.errors import ImageryError, InputError
from maploop.imagery.coverage import covered_tiles
from maploop.imagery.info import Bounds, SourceInfo
from maploop.imagery.source import describe, open_source
from maploop.imagery.tilemath import MAX_LATITUDE, Tile, tile_indices
from maploop.imagery.tiles import REMOTE_KINDS, cover, ensure_tiles
from maploop.project import ProjectView

MAX_TILES = 250_000
MAX_TEXT = 1000


def parse_bounds(text: str) -> Bounds:
    """Read `west,south,east,north` in degrees. Raises InputError."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west = south = east = north = float("nan")
    if not (-180 <= west < east <= 180 and -MAX_LATITUDE - 5 <= south < north <= MAX_LATITUDE + 5):
        msg = f"{text!r} are not bounds: write west,south,east,north in degrees, for example 32.59,0.34,32.61,0.36."
        raise InputError(msg)
    return west, south, east, north


def register_imagery(
    database: Database,
    project: ProjectView,
    location: str | Path,
    *,
    licence: str | None = None,
    attribution: str | None = None,
    may_train: bool | None = None,
    may_leave: bool | None = None,
    bounds: Bounds | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Make imagery known to a project, with a row for every tile it covers -> the `import` answer of the CLI.

    Nothing is copied. The same location again refreshes what is known of it; texts and rights that are not given
    stay (at first: what the file says, no licence, training allowed, and pictures may be sent to other parties where
    training is allowed). `bounds` (EPSG:4326) narrow what is listed; of a
    server nothing is listed without them, its tiles come with the features. A tile keeps the imagery it has.
    Raises ImageryError, InputError.
    """
    for text in (licence or "", attribution or ""):
        if len(text) > MAX_TEXT:
            msg = f"{text[:40]!r}... has {len(text):,} characters: write at most {MAX_TEXT:,}."
            raise InputError(msg)
    progress("Looking at the imagery")
    info = describe(location)
    remote = info.kind in REMOTE_KINDS
    tiles = [] if remote and bounds is None else _listed(info, project.zoom, bounds)
    if remote and bounds is not None:
        info = replace(info, bounds=bounds)
    told = {"licence": licence, "attribution": attribution, "may_train": may_train, "may_leave": may_leave}
    progress("Writing")
    with database.write() as connection:
        lock_project(connection, project.id)
        imagery_id, refreshed = _keep(
            connection, project, info, {key: told[key] for key in told if told[key] is not None}
        )
        before = _count(connection, TileRow.project_id == project.id)
        covered = ensure_tiles(connection, project, tiles, imagery_id)
        if remote:
            _cover_bare(connection, project, imagery_id, info.bounds)
        elif refreshed and bounds is None:
            _uncover(connection, imagery_id, set(covered))
        return {
            "read": 1,
            "imported": 1,
            "repaired": 0,
            "skipped": [],
            "imagery": imagery_id,
            "kind": info.kind,
            "refreshed": refreshed,
            "tiles": _count(connection, TileRow.imagery_id == imagery_id),
            "tiles_new": _count(connection, TileRow.project_id == project.id) - before,
        }


def _listed(info: SourceInfo, zoom: int, bounds: Bounds | None) -> list[Tile]:
    """The tiles of a zoom that the imagery has pixels for; at least one. Raises ImageryError."""
    tiles = list(covered_tiles(open_source(info), zoom, bounds=bounds, max_tiles=MAX_TILES))
    if not tiles:
        where = " within the bounds" if bounds else ""
        msg = (
            f"{info.location!r} covers no tile of zoom {zoom}{where}, "
            f"it has zooms {info.min_zoom} to {info.max_zoom}: choose other imagery or other bounds."
        )
        raise ImageryError(msg)
    return tiles


def _keep(connection: Connection, project: ProjectView, info: SourceInfo, told: dict[str, Any]) -> tuple[int, bool]:
    """Insert or refresh the imagery's row -> its id, and whether it was there."""
    values = {"kind": info.kind, "info": info.to_json(), **told}
    found = connection.execute(
        select(Imagery.id).where(Imagery.project_id == project.id, Imagery.location == info.location)
    ).scalar()
    if found is not None:
        connection.execute(update(Imagery).where(Imagery.id == found).values(**values))
        return found, True
    values.setdefault("attribution", info.attribution[:MAX_TEXT])
    values.setdefault("may_leave", values.get("may_train", True))
    statement = insert(Imagery).values(project_id=project.id, location=info.location, **values).returning(Imagery.id)
    return connection.execute(statement).scalar_one(), False


def _cover_bare(connection: Connection, project: ProjectView, imagery_id: int, bounds: Bounds | None) -> None:
    """Give a server's imagery to tiles within its bounds that features made and nothing covers yet."""
    query = select(TileRow.id).where(TileRow.project_id == project.id, TileRow.imagery_id.is_(None))
    if bounds is not None:
        west, south, east, north = bounds
        columns, rows = tile_indices(np.array([west, east]), np.array([north, south]), project.zoom)
        query = query.where(
            TileRow.x.between(int(columns[0]), int(columns[1])), TileRow.y.between(int(rows[0]), int(rows[1]))
        )
    cover(connection, list(connection.execute(query).scalars()), imagery_id)


def _uncover(connection: Connection, imagery_id: int, covered: set[int]) -> None:
    """Take the imagery off tiles for which it has no pixels any more."""
    had = connection.execute(select(TileRow.id).where(TileRow.imagery_id == imagery_id)).scalars()
    cover(connection, [tile for tile in had if tile not in covered], None)


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(TileRow).where(condition)).scalar_one()
