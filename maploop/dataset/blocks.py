"""Split blocks: squares of tiles, assigned to a side of the split as one and for ever, that intervals count.

A block is a parent of its tiles. Blocks of one project may differ in size: a project that grows gets larger ones, and
those that it has stay as they are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select

from db.bulk import insert_rows, lock_project, update_rows
from db.models import Dataset, Decision, Evaluation, SplitBlock, TileEvent
from db.models import Tile as TileRow
from maploop.dataset.split import LARGEST_OFFSET, SPLITS, Split, assign, offset_for, wished_shares
from maploop.errors import ConflictError
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView, change_settings
from maploop.quality.intervals import MIN_BLOCKS

LEGACY_OFFSET = 2  # of tiles that have no row of a block


@dataclass(frozen=True)
class SplitSide:
    """One side of the split: the share of the tiles it was to have, and its tiles and blocks."""

    name: Split
    wish: float
    tiles: int
    blocks: int


def blocks_of(connection: Connection, project: ProjectView, tiles: Sequence[Tile]) -> NDArray[np.int64]:
    """A number for the split block of each tile: equal for tiles of one block."""
    known = _Known(_load(connection, project))
    offset = LEGACY_OFFSET if project.settings.block_zoom_offset is None else project.settings.block_zoom_offset
    block_of = {tile: known.over(tile) or tile.parent(max(0, tile.z - offset)) for tile in set(tiles)}
    number = {block: place for place, block in enumerate(sorted(set(block_of.values())))}
    return np.array([number[block_of[tile]] for tile in tiles], dtype=np.int64)


def assign_splits(
    connection: Connection, project: ProjectView, tiles: Sequence[Tile], counts: Sequence[bool]
) -> list[Split]:
    """The split of tiles that are being made, in the order given; needs a write transaction that holds the project.

    A tile in a block that is there goes where this is. Other blocks are assigned now, and kept. `counts` says of
    each tile whether it counts, or is set aside outside the project's area: blocks are sized and shared by what counts.
    """
    blocks = _load(connection, project)
    known = _Known(blocks)
    bare = {tile: count for tile, count in zip(tiles, counts, strict=True) if known.over(tile) is None}
    if bare:
        offset = _offset(connection, project, [tile for tile, count in bare.items() if count])
        made = _assigned(project, _new_blocks(bare, known, offset), _tiles_by_side(connection, project))
        _keep(connection, project, made)
        blocks |= made
        known = _Known(blocks)
    return [blocks[known.over(tile) or tile] for tile in tiles]


def split_sides(connection: Connection, project: ProjectView) -> list[SplitSide]:
    """Count the tiles of each side and the blocks they lie in: tiles with imagery, once there are any."""
    on_imagery = _counting(project) & TileRow.imagery_id.is_not(None)
    some = connection.execute(select(TileRow.id).where(on_imagery).limit(1)).first()
    tiles: Counter[str] = Counter()
    seen: set[Tile] = set()
    assigned = _load(connection, project)
    known = _Known(assigned)
    rows = select(TileRow.x, TileRow.y, TileRow.split).where(on_imagery if some else _counting(project))
    for x, y, side in connection.execute(rows):
        tiles[side] += 1
        block = known.over(Tile(project.zoom, x, y))
        if block is not None:
            seen.add(block)
    blocks = Counter(assigned[block] for block in seen)
    return [SplitSide(side, wish, tiles[side], blocks[side]) for side, wish in wished_shares(project.settings).items()]


@dataclass(frozen=True)
class BlockView:
    """A block as it is shown: its square, its side, and how many tiles of it count."""

    address: Tile
    split: Split
    tiles: int


def list_blocks(connection: Connection, project: ProjectView) -> list[BlockView]:
    """All blocks in which tiles count, by place."""
    blocks = _load(connection, project)
    known = _Known(blocks)
    counts: Counter[Tile] = Counter()
    for x, y in connection.execute(select(TileRow.x, TileRow.y).where(_counting(project))):
        block = known.over(Tile(project.zoom, x, y))
        if block is not None:
            counts[block] += 1
    return [BlockView(block, blocks[block], counts[block]) for block in sorted(counts, key=lambda each: each.quadkey)]


def split_warning(project: ProjectView, sides: Sequence[SplitSide]) -> str:
    """Where the test side has too few blocks for any claim, or another side no tile, that and a remedy; else empty."""
    if not sum(each.tiles for each in sides):
        return ""
    lacking = [each.name for each in sides if each.wish > 0 and not each.tiles]
    test = next(each for each in sides if each.name == "test")
    needed = project.settings.promotion_blocks
    if lacking and lacking != ["test"]:
        return f"No tile is in {' or '.join(lacking)}: import more imagery, or change the shares."
    if test.blocks >= needed:
        return ""
    blocks = "1 block" if test.blocks == 1 else f"{test.blocks} blocks"
    told = "gives no interval" if test.blocks < MIN_BLOCKS else "is too few to promote a model"
    return f"The test side has {blocks}, which {told}: {needed} are needed. Import more imagery, or raise test_share."


def may_split_anew(connection: Connection, project: ProjectView) -> bool:
    """Whether the split may still be changed: nothing is decided, finished, blind, frozen or evaluated."""
    used = (
        exists().where(Decision.project_id == project.id),
        exists().where(TileEvent.tile_id == TileRow.id, TileRow.project_id == project.id),
        exists().where(TileRow.project_id == project.id, (TileRow.status != "open") | TileRow.blind),
        exists().where(Dataset.project_id == project.id),
        exists().where(Evaluation.project_id == project.id),
    )
    return not any(connection.execute(select(each)).scalar_one() for each in used)


def split_anew(connection: Connection, project: ProjectView, **changes: object) -> ProjectView:
    """Change the shares or the size of blocks, if told, and assign all blocks again; needs a write transaction.

    Raises InputError, or ConflictError once anything was decided, finished, frozen or evaluated: a test tile never
    becomes a training tile.
    """
    lock_project(connection, project.id)
    if not may_split_anew(connection, project):
        msg = (
            f"The split of {project.name!r} stands, as tiles were decided on, finished, frozen or evaluated: "
            f"a new project can have another."
        )
        raise ConflictError(msg)
    changed = change_settings(connection, project, **changes)
    rows = connection.execute(
        select(TileRow.id, TileRow.z, TileRow.x, TileRow.y, TileRow.set_aside)
        .where(TileRow.project_id == project.id)
        .order_by(TileRow.quadkey)
    ).all()
    connection.execute(delete(SplitBlock).where(SplitBlock.project_id == project.id))
    tiles = [Tile(row.z, row.x, row.y) for row in rows]
    if not tiles:
        return changed
    counts = {tile: row.set_aside is None for tile, row in zip(tiles, rows, strict=True)}
    offset = _offset_of(changed, _counts([tile for tile, count in counts.items() if count]))
    made = _assigned(changed, _new_blocks(counts, _Known({}), offset), {})
    _keep(connection, changed, made)
    known = _Known(made)
    splits = [made[known.over(tile) or tile] for tile in tiles]
    update_rows(connection, TileRow, [row.id for row in rows], {"split": splits})
    return changed


class _Known:
    """Blocks by zoom, to find the one over a tile."""

    def __init__(self, blocks: Iterable[Tile]) -> None:
        self.by_zoom: dict[int, dict[tuple[int, int], Tile]] = {}
        for block in blocks:
            self.by_zoom.setdefault(block.z, {})[block.x, block.y] = block

    def over(self, tile: Tile) -> Tile | None:
        """The block that a tile lies in."""
        for zoom, blocks in self.by_zoom.items():
            shift = tile.z - zoom
            if shift >= 0 and (block := blocks.get((tile.x >> shift, tile.y >> shift))) is not None:
                return block
        return None

    def holding(self, zoom: int) -> set[tuple[int, int]]:
        """Columns and rows of the squares of a zoom that hold a smaller block."""
        return {
            (block.x >> each - zoom, block.y >> each - zoom)
            for each, blocks in self.by_zoom.items()
            if each > zoom
            for block in blocks.values()
        }


def _counting(project: ProjectView) -> ColumnElement[bool]:
    """Tiles that are not set aside."""
    return and_(TileRow.project_id == project.id, TileRow.set_aside.is_(None))


def _assigned(project: ProjectView, sizes: Mapping[Tile, int], taken: Mapping[Split, int]) -> dict[Tile, Split]:
    """The sides of new blocks; those in which no tile counts are shared out among themselves."""
    inside = {block: count for block, count in sizes.items() if count}
    outside = {block: 1 for block, count in sizes.items() if not count}
    return {
        **assign(inside, taken, project.seed, project.settings),
        **assign(outside, {}, project.seed, project.settings),
    }


def _load(connection: Connection, project: ProjectView) -> dict[Tile, Split]:
    rows = connection.execute(
        select(SplitBlock.z, SplitBlock.x, SplitBlock.y, SplitBlock.split).where(SplitBlock.project_id == project.id)
    )
    return {Tile(row.z, row.x, row.y): row.split for row in rows}


def _tiles_by_side(connection: Connection, project: ProjectView) -> dict[Split, int]:
    rows = connection.execute(
        select(TileRow.split, func.count()).where(_counting(project)).group_by(TileRow.split)
    ).all()
    return {side: count for side in SPLITS for split, count in rows if split == side}


def _keep(connection: Connection, project: ProjectView, blocks: Mapping[Tile, Split]) -> None:
    insert_rows(
        connection,
        SplitBlock,
        {
            "project_id": [project.id] * len(blocks),
            "z": [block.z for block in blocks],
            "x": [block.x for block in blocks],
            "y": [block.y for block in blocks],
            "split": list(blocks.values()),
        },
    )


def _offset(connection: Connection, project: ProjectView, new: Sequence[Tile]) -> int:
    """How many zooms above its tiles the new blocks of a project are: as set, or by how far its tiles reach now."""
    if project.settings.block_zoom_offset is not None:
        return project.settings.block_zoom_offset
    counts = _counts(new)
    for offset in counts:
        side = 2**offset
        squares = select(TileRow.x // side, TileRow.y // side).where(_counting(project)).distinct().subquery()
        counts[offset] += connection.execute(select(func.count()).select_from(squares)).scalar_one()
    return _offset_of(project, counts)


def _counts(tiles: Sequence[Tile]) -> dict[int, int]:
    """How many blocks tiles would make, by offset."""
    return {
        offset: len({(tile.x >> offset, tile.y >> offset) for tile in tiles}) for offset in range(LARGEST_OFFSET + 1)
    }


def _offset_of(project: ProjectView, counts: Mapping[int, int]) -> int:
    set_offset = project.settings.block_zoom_offset
    return offset_for(counts) if set_offset is None else set_offset


def _new_blocks(tiles: Mapping[Tile, bool], known: _Known, offset: int) -> dict[Tile, int]:
    """Blocks for tiles that have none, each with how many of them count; smaller ones round blocks that are there."""
    found: Counter[tuple[int, int, int]] = Counter()
    holding: dict[int, set[tuple[int, int]]] = {}
    for tile, counts in tiles.items():
        zoom = max(0, tile.z - offset)
        while zoom < tile.z:
            if zoom not in holding:
                holding[zoom] = known.holding(zoom)
            if (tile.x >> tile.z - zoom, tile.y >> tile.z - zoom) not in holding[zoom]:
                break
            zoom += 1
        found[zoom, tile.x >> tile.z - zoom, tile.y >> tile.z - zoom] += counts
    return {Tile(*block): count for block, count in found.items()}
