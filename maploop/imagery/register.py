"""Imagery into a project: looked at once, referenced where it lies, its tiles made."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from shapely.geometry.base import BaseGeometry
from sqlalchemy import ColumnElement, Connection, false, func, insert, select, true, update

from db.bulk import lock_project
from db.models import Imagery
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.errors import ImageryError, InputError
from maploop.imagery.area import area_of
from maploop.imagery.coverage import covered_tiles
from maploop.imagery.geotiff import guessed_lines
from maploop.imagery.info import Bounds, Scheme, SourceInfo
from maploop.imagery.pixel_records import count_pixels, forget_coverage, measure_tiles
from maploop.imagery.raster_options import RasterOptions
from maploop.imagery.scope import tiles_of_source, within_area
from maploop.imagery.source import describe, open_source
from maploop.imagery.tilemath import MAX_LATITUDE, Tile, tile_indices
from maploop.imagery.tiles import REMOTE_KINDS, cover, ensure_tiles
from maploop.imagery.trial import Trial, centre_of, ended_at, require_pixels, says_of, try_out
from maploop.import_records import keep_report, public_name, record_import
from maploop.project import ProjectView

MAX_TILES = 250_000
MAX_TEXT = 1000
FAR_FINER = 3  # zooms beyond a source's own pixels, after which an import warns
MEASURED_AT_ONCE = 2_000  # tiles of local imagery that are measured at the import; others when they are used
MOST_PLACES = 10_000
_REFRESHED = ("kind", "info", "attribution", "licence", "may_train", "may_leave")


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


def parse_scheme(text: str | None) -> Scheme | None:
    """Read `xyz`, `tms` or `zyx`. Raises InputError."""
    if text is not None and text not in get_args(Scheme):
        msg = f"{text!r} is not how tiles are named: use {', '.join(get_args(Scheme))}."
        raise InputError(msg)
    return cast("Scheme | None", text)


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
    max_zoom: int | None = None,
    check: bool = True,
    scheme: Scheme | None = None,
    annotator: str | None = None,
    raster: RasterOptions | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Make imagery known to a project, with a row for every tile it covers -> the `import` answer of the CLI.

    Nothing is copied. The same location again refreshes what is known of it; texts and rights that are not given
    stay (at first: what the file says, no licence, training allowed, and pictures may be sent to other parties where
    training is allowed). `bounds` (EPSG:4326) and the project's area narrow what is listed; of a server nothing is
    listed without either, its tiles come with the features. A tile keeps the imagery it has. `annotator`: who imports
    it, for the record.

    Of a server some real tiles are fetched first, within the bounds or where the project has tiles, unless `check` is
    off; its deepest zoom is `max_zoom`, else as it turns out. Of imagery on this machine the pixels of at most
    MEASURED_AT_ONCE tiles are measured. `scheme` says how a folder of tiles is named, else what the project covers.
    `raster` says of a GeoTIFF what it does not say itself; without it, what was said before stays.
    Raises ImageryError, InputError.
    """
    for text in (licence or "", attribution or ""):
        if len(text) > MAX_TEXT:
            msg = f"{text[:40]!r}... has {len(text):,} characters: write at most {MAX_TEXT:,}."
            raise InputError(msg)
    progress("Looking at the imagery")
    info = describe(
        location, max_zoom=max_zoom, scheme=scheme, raster=raster or _options_before(database, project, location)
    )
    says: list[str] = coarse_lines(info, project)
    if info.kind == "geotiff":
        says += guessed_lines(info)
    if info.kind == "tile_folder" and scheme is None:
        info, lines = _arranged(database, project, info)
        says += lines
    remote = info.kind in REMOTE_KINDS
    with database.read() as connection:
        area = area_of(connection, project)
    tiles = _listed(info, project.zoom, bounds, area)
    if remote and bounds is not None:
        info = replace(info, bounds=bounds)
    trial = Trial()
    if remote and check:
        progress("Trying out the server")
        info, trial, lines = _tried(database, project, info, tiles)
        says += lines
    elif remote:
        says += ["The server was not tried out."]
    told = {"licence": licence, "attribution": attribution, "may_train": may_train, "may_leave": may_leave}
    progress("Writing")
    with database.write() as connection:
        lock_project(connection, project.id)
        imagery_id, earlier = _keep(
            connection, project, info, {key: told[key] for key in told if told[key] is not None}
        )
        import_id = record_import(connection, project, "imagery", info.location, annotator, imagery_id=imagery_id)
        before = _count(connection, TileRow.project_id == project.id)
        covered = ensure_tiles(connection, project, tiles, imagery_id, import_id=import_id)
        if remote:
            _cover_bare(connection, project, imagery_id, info.bounds)
        elif earlier is not None and bounds is None and area is None:
            _uncover(connection, imagery_id, set(covered))
        if earlier is not None:
            _forget_changed(connection, imagery_id, info)
        answer = {
            "read": 1,
            "imported": 1,
            "repaired": 0,
            "skipped": [],
            "imagery": imagery_id,
            "kind": info.kind,
            "refreshed": earlier is not None,
            "tiles": _count(connection, TileRow.imagery_id == imagery_id),
            "tiles_new": _count(connection, TileRow.project_id == project.id) - before,
            "check": trial.to_json(),
            "says": says,
        }
        answer = keep_report(connection, import_id, answer, before=earlier)
    if not remote:
        source = open_source(info)
        measure_tiles(
            database,
            project,
            TileRow.imagery_id == imagery_id,
            lambda _: source,
            at_most=MEASURED_AT_ONCE,
            progress=lambda done, total, text: progress(f"{text}, {done:,} of {total:,} tiles"),
        )
    with database.read() as connection:
        pixels = count_pixels(connection, project, TileRow.imagery_id == imagery_id)
    return {**answer, "pixels": pixels.to_json()}


def _arranged(database: Database, project: ProjectView, info: SourceInfo) -> tuple[SourceInfo, list[str]]:
    """How a folder of tiles is named, by what the project covers -> the source, lines for people.

    Another scheme than the folder's own is taken only where its tiles meet the project's and its own do not.
    """
    with database.read() as connection:
        row: Any = connection.execute(
            select(func.min(TileRow.x), func.max(TileRow.x), func.min(TileRow.y), func.max(TileRow.y)).where(
                TileRow.project_id == project.id, TileRow.z == project.zoom
            )
        ).one()
    if info.scheme == "tms":
        return info, ["A tilemapresource.xml lies there: its rows count from the south (--scheme xyz if they do not)."]
    if row[0] is None:
        west, south, east, north = info.bounds or (0.0, 0.0, 0.0, 0.0)
        where = f"{(south + north) / 2:.4f}, {(west + east) / 2:.4f} (latitude, longitude)"
        return info, [f"The tiles lie around {where}. Not there? Import with --scheme tms or --scheme zyx."]
    first, last = Tile(project.zoom, row[0], row[2]), Tile(project.zoom, row[1], row[3])
    ground = (first.bounds[0], last.bounds[1], last.bounds[2], first.bounds[3])
    if _meet(info.bounds, ground):
        return info, []
    schemes: tuple[Scheme, ...] = ("tms", "zyx")
    others = [describe(info.location, scheme=each) for each in schemes]
    fitting = [each for each in others if _meet(each.bounds, ground)]
    if len(fitting) == 1:
        how = "rows count from the south" if fitting[0].scheme == "tms" else "folders are named by row, z/y/x"
        return fitting[0], [f"Its {how}: only so it lies where the project's tiles are (--scheme xyz if not)."]
    return info, ["It does not lie where the project's tiles are: check it, or import with --scheme tms or zyx."]


def _meet(one: Bounds | None, other: Bounds) -> bool:
    """Whether two boxes have ground in common; a box that nobody knows has none."""
    return one is not None and one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _tried(
    database: Database, project: ProjectView, info: SourceInfo, tiles: list[Tile]
) -> tuple[SourceInfo, Trial, list[str]]:
    """Fetch some tiles -> the source as it turned out, what came, lines for people. Raises ImageryError."""
    places = tiles
    if not places:
        with database.read() as connection:
            rows = connection.execute(
                select(TileRow.x, TileRow.y)
                .where(TileRow.project_id == project.id, TileRow.z == project.zoom, _reached(project, info.bounds))
                .order_by(TileRow.quadkey)
                .limit(MOST_PLACES)
            ).all()
        places = [Tile(project.zoom, x, y) for x, y in rows]
    sure = bool(places)
    source = open_source(info)
    trial = try_out(source, places or centre_of(info, project.zoom) or [Tile(max(info.min_zoom, 1), 1, 0)])
    require_pixels(trial, sure=sure or info.bounds is not None)
    if sure or (trial.came and info.bounds is not None):
        info = ended_at(info, trial, project.zoom)
    else:
        trial = Trial()  # the whole world's first tile says nothing of what lies elsewhere
    return info, trial, says_of(info, trial, project.zoom)


def _reached(project: ProjectView, bounds: Bounds | None) -> ColumnElement[bool]:
    """Condition on tiles: within bounds in degrees, wherever when there are none."""
    if bounds is None:
        return true()
    west, south, east, north = bounds
    columns, rows = tile_indices(np.array([west, east]), np.array([north, south]), project.zoom)
    return TileRow.x.between(int(columns[0]), int(columns[1])) & TileRow.y.between(int(rows[0]), int(rows[1]))


def _forget_changed(connection: Connection, imagery_id: int, info: SourceInfo) -> None:
    """Take tiles for unmeasured whose pixels were seen before the imagery changed.

    Nobody knows that of a server: there all that had no pixels, or too few, are asked for again.
    """
    now = open_source(info).fingerprint[:16]
    ids = connection.execute(
        select(TileRow.id).where(
            TileRow.imagery_id == imagery_id,
            (TileRow.pixel_source != now) | ((TileRow.pixel_share < 1) if info.kind in REMOTE_KINDS else false()),
        )
    ).scalars()
    forget_coverage(connection, list(ids))


def _options_before(database: Database, project: ProjectView, location: str | Path) -> RasterOptions | None:
    """The options that a GeoTIFF of the project was imported with before."""
    if "://" in str(location):
        return None
    place = str(Path(str(location).strip()).resolve())
    with database.read() as connection:
        stored = connection.execute(
            select(Imagery.info).where(
                Imagery.project_id == project.id, Imagery.location == place, Imagery.kind == "geotiff"
            )
        ).scalar()
    return RasterOptions.of(SourceInfo.from_json(stored)) if stored else None


def coarse_lines(info: SourceInfo, project: ProjectView) -> list[str]:
    """Warn of imagery on this machine that is far coarser than the tiles it is shown on."""
    finer = project.zoom + math.log2(project.tile_size / info.tile_size) - info.max_zoom
    if info.kind in REMOTE_KINDS or finer <= FAR_FINER:
        return []
    return [
        f"The imagery is far coarser than zoom {project.zoom}: each of its pixels is shown as {2**finer:,.0f} a side, "
        f"too coarse for small things. It suits zoom {info.max_zoom}."
    ]


def _listed(info: SourceInfo, zoom: int, bounds: Bounds | None, area: BaseGeometry | None) -> list[Tile]:
    """The tiles of a zoom that the imagery has pixels for within bounds and area; at least one.

    None of a server's when there is neither. Raises ImageryError.
    """
    if info.kind in REMOTE_KINDS and bounds is None and area is None:
        return []
    if area is not None:
        own = info if bounds is None else replace(info, bounds=bounds)
        if info.kind in REMOTE_KINDS:
            tiles = tiles_of_source(own, zoom, area)
        else:
            inner = (-180.0, -90.0, 180.0, 90.0) if bounds is None else bounds
            west, south, east, north = area.bounds
            box = max(west, inner[0]), max(south, inner[1]), min(east, inner[2]), min(north, inner[3])
            inside = box[0] < box[2] and box[1] < box[3]
            tiles = list(covered_tiles(open_source(info), zoom, bounds=box, max_tiles=MAX_TILES)) if inside else []
            tiles = within_area(area, tiles)
        if not tiles:
            name = public_name(info.location)
            msg = f"{name!r} covers no tile of the project's area: choose other imagery, or import another area."
            raise ImageryError(msg)
        return tiles
    tiles = list(covered_tiles(open_source(info), zoom, bounds=bounds, max_tiles=MAX_TILES))
    if not tiles:
        where = " within the bounds" if bounds else ""
        msg = (
            f"{info.location!r} covers no tile of zoom {zoom}{where}, "
            f"it has zooms {info.min_zoom} to {info.max_zoom}: choose other imagery or other bounds."
        )
        raise ImageryError(msg)
    return tiles


def _keep(
    connection: Connection, project: ProjectView, info: SourceInfo, told: dict[str, Any]
) -> tuple[int, dict[str, Any] | None]:
    """Insert or refresh the imagery's row -> its id, and what it held before; None when it is new to the project."""
    values = {"kind": info.kind, "info": info.to_json(), **told}
    known = [getattr(Imagery, column) for column in _REFRESHED]
    found = connection.execute(
        select(Imagery.id, Imagery.withdrawn_at, *known).where(
            Imagery.project_id == project.id, Imagery.location == info.location
        )
    ).first()
    if found is not None:
        connection.execute(update(Imagery).where(Imagery.id == found.id).values(**values, withdrawn_at=None))
        before = {column: getattr(found, column) for column in _REFRESHED}
        return found.id, before if found.withdrawn_at is None else None
    values.setdefault("attribution", info.attribution[:MAX_TEXT])
    values.setdefault("may_leave", values.get("may_train", True))
    statement = insert(Imagery).values(project_id=project.id, location=info.location, **values).returning(Imagery.id)
    return connection.execute(statement).scalar_one(), None


def _cover_bare(connection: Connection, project: ProjectView, imagery_id: int, bounds: Bounds | None) -> None:
    """Give a server's imagery to tiles within its bounds that features made and nothing covers yet."""
    query = select(TileRow.id).where(
        TileRow.project_id == project.id, TileRow.imagery_id.is_(None), _reached(project, bounds)
    )
    cover(connection, list(connection.execute(query).scalars()), imagery_id)


def _uncover(connection: Connection, imagery_id: int, covered: set[int]) -> None:
    """Take the imagery off tiles for which it has no pixels any more."""
    had = connection.execute(select(TileRow.id).where(TileRow.imagery_id == imagery_id)).scalars()
    cover(connection, [tile for tile in had if tile not in covered], None)


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(TileRow).where(condition)).scalar_one()
