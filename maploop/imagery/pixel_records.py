"""Records of pixel coverage: measured once per tile and imagery, kept with the tile."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, true

from db.bulk import in_lists, update_rows
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.errors import ImageryError
from maploop.imagery.info import ImagerySource
from maploop.imagery.pixels import BARE, PixelCoverage, coverage_of
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView

MEASURE_PIXELS = 256  # side at which a tile is read to be measured
MEASURED_AT_ONCE = 64  # tiles between two writes
WORKERS = 4

Sources = Callable[[int], ImagerySource]  # opens the imagery of an id


@dataclass(frozen=True)
class PixelCounts:
    """Tiles of a project by what is known of their pixels; the four add up to all of them.

    with_pixels     imagery covers them, and some of it was seen there
    unmeasured      imagery is said to cover them, nobody has looked
    holes           imagery is said to cover them and has no pixels there
    no_imagery      no imagery covers them

    partial counts those of `with_pixels` on which a part has none.
    """

    with_pixels: int
    unmeasured: int
    holes: int
    no_imagery: int
    partial: int

    def to_json(self) -> dict[str, int]:
        """As `status` and `import` print it."""
        return {
            "with_pixels": self.with_pixels,
            "partial": self.partial,
            "unmeasured": self.unmeasured,
            "holes": self.holes,
            "no_imagery": self.no_imagery,
        }


def without_pixels() -> ColumnElement[bool]:
    """Condition on `Tile`: known to have no pixels at all, for want of imagery or because its imagery has a hole."""
    return or_(TileRow.imagery_id.is_(None), and_(TileRow.pixel_share.is_not(None), TileRow.pixel_share == 0))


def may_have_pixels() -> ColumnElement[bool]:
    """Condition on `Tile`: imagery covers it, and nobody has found a hole there. The opposite of `without_pixels`."""
    return and_(TileRow.imagery_id.is_not(None), or_(TileRow.pixel_share.is_(None), TileRow.pixel_share > 0))


def count_pixels(
    connection: Connection, project: ProjectView, condition: ColumnElement[bool] | None = None
) -> PixelCounts:
    """Count the tiles of a project, or those that fulfil a condition, by what is known of their pixels."""
    row = connection.execute(
        select(
            func.count().label("all"),
            func.count(TileRow.imagery_id).label("covered"),
            func.count().filter(TileRow.imagery_id.is_not(None), TileRow.pixel_share.is_(None)).label("unmeasured"),
            func.count().filter(TileRow.imagery_id.is_not(None), TileRow.pixel_share == 0).label("holes"),
            func.count()
            .filter(TileRow.imagery_id.is_not(None), TileRow.pixel_share > 0, TileRow.pixel_share < 1)
            .label("partial"),
        ).where(TileRow.project_id == project.id, true() if condition is None else condition)
    ).one()
    return PixelCounts(
        with_pixels=row.covered - row.unmeasured - row.holes,
        unmeasured=row.unmeasured,
        holes=row.holes,
        no_imagery=row.all - row.covered,
        partial=row.partial,
    )


@dataclass(frozen=True)
class PixelRecord:
    """Where a tile has pixels, None while nobody has looked, and the fingerprint of the imagery looked at."""

    coverage: PixelCoverage | None
    fingerprint: str | None


def pixel_coverages(
    connection: Connection, project: ProjectView, tiles: Collection[Tile]
) -> dict[Tile, PixelCoverage | None]:
    """How much of each tile has pixels, as far as it was measured: None where nobody has looked.

    A tile without imagery has a share of 0; addresses that are no tiles of the project are left out.
    """
    return {tile: record.coverage for tile, record in read_records(connection, project.id, tiles).items()}


def read_records(connection: Connection, project_id: int, tiles: Collection[Tile]) -> dict[Tile, PixelRecord]:
    """Recorded pixel coverage of a project's tiles; a tile without imagery has a share of 0."""
    found: dict[Tile, PixelRecord] = {}
    wanted = {(tile.quadkey, tile.z): tile for tile in tiles}
    for some in in_lists(sorted(quadkey for quadkey, _ in wanted)):
        rows = connection.execute(
            select(
                TileRow.z,
                TileRow.quadkey,
                TileRow.imagery_id,
                TileRow.pixel_share,
                TileRow.pixel_mask,
                TileRow.pixel_source,
            ).where(TileRow.project_id == project_id, TileRow.quadkey.in_(some))
        )
        for row in rows:
            if (tile := wanted.get((row.quadkey, row.z))) is not None:
                known = BARE if row.imagery_id is None else coverage_in(row.pixel_share, row.pixel_mask)
                found[tile] = PixelRecord(known, row.pixel_source)
    return found


def coverage_in(share: float | None, mask: bytes | None) -> PixelCoverage | None:
    """The coverage kept in a row's columns, None where nobody has looked."""
    return None if share is None else PixelCoverage(share, mask or b"")


def measure_tiles(
    database: Database,
    project: ProjectView,
    condition: ColumnElement[bool],
    sources: Sources,
    *,
    at_most: int | None = None,
    progress: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
) -> dict[Tile, ImageryError]:
    """Measure the tiles of a project that fulfil `condition` and were not measured yet, and keep what comes of it.

    Answers the tiles whose pixels did not come, with the error of each: they stay unmeasured. Only the first `at_most`
    tiles by place are looked at.
    """
    query = (
        select(TileRow.id, TileRow.x, TileRow.y, TileRow.imagery_id)
        .where(
            TileRow.project_id == project.id,
            TileRow.z == project.zoom,
            TileRow.imagery_id.is_not(None),
            TileRow.pixel_share.is_(None),
            condition,
        )
        .order_by(TileRow.quadkey)
        .limit(at_most)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    failures: dict[Tile, ImageryError] = {}
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="measure") as workers:
        for start in range(0, len(rows), MEASURED_AT_ONCE):
            progress(start, len(rows), "Looking at the pixels")
            some = rows[start : start + MEASURED_AT_ONCE]
            tiles = [Tile(project.zoom, row.x, row.y) for row in some]
            answers = list(
                workers.map(
                    lambda pair: _measured(sources, *pair), zip((row.imagery_id for row in some), tiles, strict=True)
                )
            )
            records = []
            for row, tile, answer in zip(some, tiles, answers, strict=True):
                if isinstance(answer, ImageryError):
                    failures[tile] = answer
                else:
                    records.append((row.id, row.imagery_id, *answer))
            if records:
                with database.write() as connection:
                    _keep(connection, records)
    progress(len(rows), len(rows), "Looking at the pixels")
    return failures


def record_coverage(
    connection: Connection, project_id: int, imagery_id: int, tile: Tile, coverage: PixelCoverage, fingerprint: str
) -> None:
    """Keep what was seen of a tile while it was rendered; nothing when that imagery does not cover the tile."""
    tile_id = connection.execute(
        select(TileRow.id).where(
            TileRow.project_id == project_id,
            TileRow.z == tile.z,
            TileRow.x == tile.x,
            TileRow.y == tile.y,
            TileRow.imagery_id == imagery_id,
        )
    ).scalar()
    if tile_id is not None:
        _keep(connection, [(tile_id, imagery_id, coverage, fingerprint)])


def forget_coverage(connection: Connection, tile_ids: Sequence[int]) -> None:
    """Take tiles for unmeasured: their imagery is another one, or has changed."""
    nothing = [None] * len(tile_ids)
    update_rows(connection, TileRow, tile_ids, {"pixel_share": nothing, "pixel_mask": nothing, "pixel_source": nothing})


def _measured(sources: Sources, imagery_id: int, tile: Tile) -> tuple[PixelCoverage, str] | ImageryError:
    try:
        source = sources(imagery_id)
        return coverage_of(source.read(tile, MEASURE_PIXELS)), source.fingerprint
    except ImageryError as error:
        return error


def _keep(connection: Connection, records: list[tuple[int, int, PixelCoverage, str]]) -> None:
    """Write coverages to the rows of tiles that the imagery still covers."""
    covered = {
        (row.id, row.imagery_id)
        for some in in_lists([each[0] for each in records])
        for row in connection.execute(select(TileRow.id, TileRow.imagery_id).where(TileRow.id.in_(some)))
    }
    kept = [each for each in records if (each[0], each[1]) in covered]
    update_rows(
        connection,
        TileRow,
        [each[0] for each in kept],
        {
            "pixel_share": [each[2].share for each in kept],
            "pixel_mask": [each[2].mask or None for each in kept],
            "pixel_source": [each[3][:16] for each in kept],
        },
    )
