"""Rows of tiles: made when imagery or a feature first needs them, each with its place, draw and split for ever."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, select

from db.bulk import insert_rows, lock_project, reserve_ids, update_rows
from db.models import Imagery
from db.models import Tile as TileRow
from maploop.dataset.blocks import assign_splits
from maploop.dataset.split import unit_hash
from maploop.imagery.area import area_of, reach_into
from maploop.imagery.pixel_records import forget_coverage
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView

REMOTE_KINDS = ("xyz", "wms")


def ensure_tiles(
    connection: Connection,
    project: ProjectView,
    tiles: Sequence[Tile],
    imagery_id: int | None = None,
    *,
    import_id: int | None = None,
) -> list[int]:
    """Ids of the project's tiles at its working zoom, in the order given; needs a write transaction.

    Tiles the project lacks are made; a split once drawn never changes. With `imagery_id`, the imagery covers them:
    tiles that have no imagery yet get it. Without, new tiles get the remote imagery whose bounds they are in, if any.
    `import_id`: the import that makes them; tiles that were set aside when another was taken back count again.
    """
    if not tiles:
        return []
    lock_project(connection, project.id)
    xs, ys = np.array([(tile.x, tile.y) for tile in tiles], dtype=np.int64).T
    area = area_of(connection, project)
    known: dict[tuple[int, int], int] = {}
    bare: set[int] = set()
    left: set[int] = set()  # by an import that was taken back
    for row in connection.execute(
        select(TileRow.id, TileRow.x, TileRow.y, TileRow.imagery_id, TileRow.set_aside).where(
            TileRow.project_id == project.id,
            TileRow.z == project.zoom,
            TileRow.x.between(int(xs.min()), int(xs.max())),
            TileRow.y.between(int(ys.min()), int(ys.max())),
        )
    ):
        known[row.x, row.y] = row.id
        if row.imagery_id is None:
            bare.add(row.id)
        if row.set_aside == "import":
            left.add(row.id)
    missing = list(dict.fromkeys(tile for tile in tiles if (tile.x, tile.y) not in known))
    if missing:
        covered_by = [imagery_id] * len(missing) if imagery_id else on_imagery_of_servers(connection, project, missing)
        made = _insert(connection, project, missing, covered_by, import_id, area)
        for tile, identifier in zip(missing, made, strict=True):
            known[tile.x, tile.y] = identifier
    ids = [known[tile.x, tile.y] for tile in tiles]
    if left:
        _take_up(connection, tiles, ids, left, area, import_id)
    if imagery_id is not None:
        cover(connection, [each for each in ids if each in bare], imagery_id)
    return ids


def cover(connection: Connection, tile_ids: Sequence[int], imagery_id: int | None) -> None:
    """Say which imagery covers existing tiles; None: none does. What was known of their pixels is forgotten."""
    update_rows(connection, TileRow, tile_ids, {"imagery_id": [imagery_id] * len(tile_ids)})
    forget_coverage(connection, tile_ids)


def tile_ids_around(
    connection: Connection, project: ProjectView, places: NDArray[np.int64], *, with_imagery: bool = False
) -> Iterator[tuple[tuple[int, int], int]]:
    """Place (x, y) and id of the project's tiles in the bounding box of places of shape (n, 2)."""
    if not len(places):
        return
    (west, north), (east, south) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    query = select(TileRow.x, TileRow.y, TileRow.id).where(
        TileRow.project_id == project.id,
        TileRow.z == project.zoom,
        TileRow.x.between(west, east),
        TileRow.y.between(north, south),
    )
    if with_imagery:
        query = query.where(TileRow.imagery_id.is_not(None))
    for x, y, identifier in connection.execute(query):
        yield (x, y), identifier


def _insert(
    connection: Connection,
    project: ProjectView,
    tiles: Sequence[Tile],
    imagery_ids: Sequence[int | None],
    import_id: int | None,
    area: BaseGeometry | None,
) -> list[int]:
    ids = reserve_ids(connection, TileRow, len(tiles))
    count = len(tiles)
    asides = set_aside(area, tiles)
    insert_rows(
        connection,
        TileRow,
        {
            "id": ids,
            "project_id": [project.id] * count,
            "z": [tile.z for tile in tiles],
            "x": [tile.x for tile in tiles],
            "y": [tile.y for tile in tiles],
            "imagery_id": imagery_ids,
            "quadkey": quadkeys(tiles),
            "shuffle": [unit_hash(project.seed, tile) for tile in tiles],
            "uncertainty": [0.0] * count,
            "split": assign_splits(connection, project, tiles, [each is None for each in asides]),
            "status": ["open"] * count,
            "comment": [""] * count,
            "import_id": [import_id] * count,
            "set_aside": asides,
        },
    )
    return ids


def _take_up(
    connection: Connection,
    tiles: Sequence[Tile],
    ids: Sequence[int],
    left: set[int],
    area: BaseGeometry | None,
    import_id: int | None,
) -> None:
    """Count tiles again that were set aside with the import that had made them."""
    again = {identifier: tile for tile, identifier in zip(tiles, ids, strict=True) if identifier in left}
    asides = set_aside(area, list(again.values()))
    update_rows(connection, TileRow, list(again), {"set_aside": asides, "import_id": [import_id] * len(again)})


def set_aside(area: BaseGeometry | None, tiles: Sequence[Tile]) -> list[str | None]:
    """Compute `Tile.set_aside` of tiles: "area" outside the project's area."""
    if area is None:
        return [None] * len(tiles)
    return [None if inside else "area" for inside in reach_into(area, tiles).tolist()]


def quadkeys(tiles: Sequence[Tile]) -> list[str]:
    """`Tile.quadkey` of many tiles of one zoom at once."""
    zoom = tiles[0].z
    xs, ys = np.array([(tile.x, tile.y) for tile in tiles], dtype=np.int64).T
    shifts = np.arange(zoom - 1, -1, -1)
    digits = (xs[:, None] >> shifts & 1) + 2 * (ys[:, None] >> shifts & 1)
    return ["".join(row) for row in digits.astype("U1")] if zoom else [""] * len(tiles)


def on_imagery(connection: Connection, project: ProjectView, tiles: Sequence[Tile]) -> NDArray[np.bool_]:
    """Which tiles of the working zoom imagery covers, whether the project has made them yet or not; (n,)."""
    if not tiles:
        return np.zeros(0, dtype=np.bool_)
    places = np.array([(tile.x, tile.y) for tile in tiles], dtype=np.int64)
    known = dict(tile_ids_around(connection, project, places, with_imagery=True))
    found = np.array([(tile.x, tile.y) in known for tile in tiles], dtype=np.bool_)
    others = [tile for tile, is_known in zip(tiles, found.tolist(), strict=True) if not is_known]
    if others:
        found[~found] = [each is not None for each in on_imagery_of_servers(connection, project, others)]
    return found


def on_imagery_of_servers(connection: Connection, project: ProjectView, tiles: Sequence[Tile]) -> list[int | None]:
    """For each tile, the oldest imagery on a server that reaches it.

    Local imagery is not asked: all the tiles it covers were made when it was imported.
    """
    sources = connection.execute(
        select(Imagery.id, Imagery.info)
        .where(Imagery.project_id == project.id, Imagery.kind.in_(REMOTE_KINDS), Imagery.withdrawn_at.is_(None))
        .order_by(Imagery.id)
    ).all()
    if not sources:
        return [None] * len(tiles)
    found: NDArray[np.int64] = np.zeros(len(tiles), dtype=np.int64)
    bounds = np.array([tile.bounds for tile in tiles])
    for source in sources:
        west, south, east, north = source.info.get("bounds") or (-180.0, -90.0, 180.0, 90.0)
        inside = (bounds[:, 0] < east) & (bounds[:, 2] > west) & (bounds[:, 1] < north) & (bounds[:, 3] > south)
        found[inside & (found == 0)] = source.id
    return [int(each) or None for each in found]
