"""The split by blocks: near its wish at every size, the same on every machine, and for ever."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from db.models import SplitBlock
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.dataset.blocks import blocks_of, may_split_anew, split_anew, split_sides
from maploop.dataset.split import SPLITS, assign, offset_for, wished_shares
from maploop.errors import ConflictError, InputError
from maploop.imagery.register import register_imagery
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import ensure_tiles
from maploop.project import ProjectSettings, ProjectView, create_project
from tests.builders import CORNER, a_decision, a_person, a_prediction, a_project, a_tile

KAMPALA = Path(__file__).resolve().parents[3] / "shared" / "data" / "kampala"


def square(columns: int, rows: int, x: int = 0, y: int = 0) -> list[Tile]:
    return [Tile(CORNER.z, CORNER.x + x + i, CORNER.y + y + j) for j in range(rows) for i in range(columns)]


def splits(database: Database, project: ProjectView) -> dict[Tile, str]:
    with database.read() as connection:
        rows = connection.execute(
            select(TileRow.z, TileRow.x, TileRow.y, TileRow.split).where(TileRow.project_id == project.id)
        )
        return {Tile(row.z, row.x, row.y): row.split for row in rows}


def made(database: Database, tiles: list[Tile], name: str = "Town", **settings: Any) -> ProjectView:
    with database.write() as connection:
        project = a_project(connection, name, **settings)
        ensure_tiles(connection, project, tiles)
    return project


@given(st.integers(1, 400), st.floats(0.05, 0.45), st.floats(0.05, 0.45), st.text(max_size=4))
def test_every_side_is_within_one_block_of_its_share_after_every_block(
    count: int, validation: float, test: float, seed: str
) -> None:
    settings = ProjectSettings(validation_share=validation, test_share=test)
    sides = assign({Tile(19, each, each): 1 for each in range(count)}, {}, seed, settings)
    taken: Counter[str] = Counter()
    for place, side in enumerate(sides.values(), start=1):
        taken[side] += 1
        assert all(abs(taken[name] - wish * place) <= 1 for name, wish in wished_shares(settings).items())


@pytest.mark.parametrize(("columns", "rows"), [(3, 2), (6, 4), (12, 8), (20, 20), (60, 40)])
def test_projects_of_any_size_get_all_three_sides(sqlite_database: Database, columns: int, rows: int) -> None:
    project = made(sqlite_database, square(columns, rows))
    with sqlite_database.read() as connection:
        sides = split_sides(connection, project)
        number = blocks_of(connection, project, square(columns, rows))
    assert {each.name for each in sides if each.tiles} == set(SPLITS)
    largest = max(Counter(number.tolist()).values())
    assert all(abs(each.tiles - each.wish * columns * rows) <= largest for each in sides)


def test_a_share_of_nothing_gets_nothing(sqlite_database: Database) -> None:
    project = made(sqlite_database, square(6, 6), validation_share=0)
    assert set(splits(sqlite_database, project).values()) == {"train", "test"}


def test_blocks_are_as_large_as_leaves_enough_of_them() -> None:
    assert offset_for({0: 24, 1: 6, 2: 2}) == 0
    assert offset_for({0: 96, 1: 24, 2: 6}) == 1
    assert offset_for({0: 9_600, 1: 2_400, 2: 600}) == 2
    assert offset_for({0: 3, 1: 1, 2: 1}) == 0


def test_all_tiles_of_a_block_are_on_one_side(database: Database) -> None:
    tiles = square(24, 24)
    project = made(database, tiles)
    found = splits(database, project)
    with database.read() as connection:
        number = blocks_of(connection, project, tiles).tolist()
    by_block: dict[int, set[str]] = {}
    for tile, block in zip(tiles, number, strict=True):
        by_block.setdefault(block, set()).add(found[tile])
    assert all(len(sides) == 1 for sides in by_block.values())
    assert len(by_block) < len(tiles) / 8


def test_the_same_imports_in_the_same_order_make_the_same_split(database: Database) -> None:
    batches = [square(5, 5), square(9, 3, x=4), square(30, 30, y=2)]
    found = []
    for name in ("one", "other"):
        project = made(database, batches[0], name)
        with database.write() as connection:
            for batch in batches[1:]:
                ensure_tiles(connection, project, batch)
        found.append(splits(database, project))
    assert found[0] == found[1]


def test_a_project_that_grows_keeps_its_blocks_and_gets_larger_ones(database: Database) -> None:
    project = made(database, square(3, 2))
    before = splits(database, project)
    with database.write() as connection:
        ensure_tiles(connection, project, square(40, 40))
    after = splits(database, project)
    assert {tile: after[tile] for tile in before} == before
    with database.read() as connection:
        zooms = set(connection.execute(select(SplitBlock.z)).scalars())
        number = dict(zip(after, blocks_of(connection, project, list(after)).tolist(), strict=True))
    assert {CORNER.z, CORNER.z - 2} <= zooms
    sides: dict[int, set[str]] = {}
    for tile, split in after.items():
        sides.setdefault(number[tile], set()).add(split)
    assert all(len(each) == 1 for each in sides.values())


def test_imports_at_once_assign_each_block_once(database: Database) -> None:
    project = made(database, square(2, 2))
    batches = [square(12, 12, x=each) for each in range(0, 24, 6)]

    def add(batch: list[Tile]) -> None:
        with database.write() as connection:
            ensure_tiles(connection, project, batch)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, batches))
    found = splits(database, project)
    with database.read() as connection:
        number = blocks_of(connection, project, list(found)).tolist()
    sides: dict[int, set[str]] = {}
    for (_, split), block in zip(found.items(), number, strict=True):
        sides.setdefault(block, set()).add(split)
    assert all(len(each) == 1 for each in sides.values())


def test_the_split_may_be_changed_until_somebody_decides(database: Database) -> None:
    project = made(database, square(10, 10))
    with database.write() as connection:
        project = split_anew(connection, project, test_share=0.4, validation_share=0.2, block_zoom_offset=1)
        sides = {each.name: each for each in split_sides(connection, project)}
    assert (sides["test"].tiles, sides["validation"].tiles) == (40, 20)
    assert sum(each.blocks for each in sides.values()) in range(25, 37)
    with database.write() as connection:
        anna, tile = a_person(connection, "anna"), a_tile(connection, project, 100)
        feature = a_prediction(connection, project, tile, 0).feature_id
        assert may_split_anew(connection, project)
        a_decision(connection, project, tile, feature, "accept", anna)
    before = splits(database, project)
    with pytest.raises(ConflictError, match="The split of 'Town' stands"), database.write() as connection:
        split_anew(connection, project, test_share=0.1)
    assert splits(database, project) == before


def test_a_split_that_cannot_be_changes_nothing(database: Database) -> None:
    project = made(database, square(4, 4))
    before = splits(database, project)
    with pytest.raises(InputError, match="is not a test_share"), database.write() as connection:
        split_anew(connection, project, test_share=2)
    assert splits(database, project) == before


@pytest.mark.skipif(not KAMPALA.is_dir(), reason="the Kampala tiles are not here")
def test_24_real_tiles_get_three_sides_each_within_one_block_of_its_share(sqlite_database: Database) -> None:
    with sqlite_database.write() as connection:
        project = create_project(connection, "Kampala", [("building", "polygon")], zoom=20, seed="seed")
    register_imagery(sqlite_database, project, KAMPALA)
    with sqlite_database.read() as connection:
        sides = split_sides(connection, project)
    assert sum(each.tiles for each in sides) == 24
    assert all(each.tiles and abs(each.tiles - 24 * each.wish) <= 1 for each in sides)
