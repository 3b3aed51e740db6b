"""Examples: reviewed training tiles, never others, never the tile itself; the same when a run is resumed."""

import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import update

from db.models import Feature
from db.models import Tile as TileRow
from maploop.contract import contract_of
from maploop.database import Database
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.imagery.tilemath import Tile
from maploop.predict.chat.shown import Example, Pool, gather_pool, keep_pool, open_pool
from maploop.predict.choosing import TileChoice
from maploop.predict.history import last_unfinished
from maploop.predict.run import RunProgress
from maploop.settings import get_settings
from tests.predict.chat.conftest import SPLITS
from tests.predict.chat.ground import Town
from tests.tune.ground import lay_ground
from tests.vendor import Question, picture_hash

TRAIN = {column for column, split in enumerate(SPLITS) if split == "train"}
TEST = len(SPLITS) - 1


def listen(town: Town) -> dict[int, list[int]]:
    """Column asked about -> columns shown before, in order; filled while the model answers."""
    answers = town.answers()
    columns = {town.picture(column): column for column in range(len(SPLITS))}
    heard: dict[int, list[int]] = {}

    def brain(question: Question) -> str:
        *shown, asked = (columns[picture_hash(each)] for each in question.pictures)
        heard[asked] = shown
        told = [each["content"] for each in question.body["messages"] if each["role"] == "assistant"]
        assert told == [answers[town.picture(column)] for column in shown]
        assert question.picture is not None
        return answers[question.picture]

    town.vendor.brain = brain
    return heard


def change(town: Town, columns: Sequence[int], **values: Any) -> None:
    with town.ground.database.write() as connection:
        xs = [town.ground.tile(column).x for column in columns]
        connection.execute(update(TileRow).where(TileRow.x.in_(xs)).values(**values))


@pytest.mark.parametrize("retrieve", [False, True])
def test_only_other_training_tiles_are_shown(painted: Town, retrieve: bool) -> None:
    heard = listen(painted)
    run = painted.run(shots=3, retrieve=retrieve)
    assert run.done == len(SPLITS)
    assert set(heard) == set(range(len(SPLITS)))
    for asked, shown in heard.items():
        assert len(set(shown)) == 3
        assert set(shown) <= TRAIN - {asked}
    assert (run.parameters["shots"], len(run.parameters["pool"])) == (3, 64)


def test_the_same_examples_are_shown_to_all_tiles_that_are_none_themselves(painted: Town) -> None:
    heard = listen(painted)
    painted.run(shots=2)
    first = heard[TEST]
    assert all(shown == first for asked, shown in heard.items() if asked not in first)


def test_tiles_that_nobody_finished_or_somebody_doubts_are_not_shown(painted: Town) -> None:
    change(painted, [0], status="open")
    change(painted, [1], status="returned")
    change(painted, [2], imagery_id=None)
    with painted.ground.database.write() as connection:
        west, _, east, _ = painted.ground.tile(3).bounds
        for row in connection.execute(Feature.__table__.select()).all():
            if west < row.geometry.centroid.x < east:
                connection.execute(update(Feature).where(Feature.id == row.id).values(verdict="unsure"))
                break
    heard = listen(painted)
    painted.run(TileChoice(given=[painted.ground.tile(TEST)]), shots=5)
    assert set(heard[TEST]) == {4, 5}


def test_the_tiles_that_look_most_alike_are_retrieved_the_nearest_last(painted: Town) -> None:
    read = painted.ground.painted.read

    def tinted(tile: Tile, size: int) -> NDArray[np.uint8]:
        rgba = read(tile, size)
        column = tile.x - painted.ground.tile(0).x
        share = {1: 0.55, 4: 0.5, TEST: 0.5}.get(column, 0.0)
        rgba[..., 2] = np.where(share, np.uint8(255 * share), rgba[..., 2])
        return rgba

    painted.ground.painted.read = tinted  # type: ignore[method-assign]
    shown: list[list[bytes]] = []
    painted.vendor.brain = lambda question: shown.append(list(question.pictures)) or '{"features":[]}'  # type: ignore[func-returns-value]
    painted.run(TileChoice(given=[painted.ground.tile(TEST)]), shots=2, retrieve=True)
    expected = [painted.picture_now(column) for column in (1, 4, TEST)]
    assert [picture_hash(each) for each in shown[0]] == expected


def test_vectors_are_kept_and_not_made_again(painted: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    painted.run(shots=1, retrieve=True)
    kept = list((get_settings().data / "embeddings").glob("??/*"))
    assert len(kept) == len(SPLITS)

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("maploop.predict.embedding.LightEmbedder.embed", fail)
    again = painted.predict(again=True, shots=1, retrieve=True).run
    assert again is not None
    assert again.done == len(SPLITS)


def test_what_is_shown_belongs_to_the_question(painted: Town) -> None:
    runs = [painted.run(), painted.run(shots=1), painted.run(shots=2), painted.run(shots=2, retrieve=True)]
    hashes = [each.prompt_hash for each in runs]
    assert len(set(hashes)) == 4
    assert painted.predict(shots=2).run is None
    assert painted.predict(shots=2, retrieve=True).run is None
    change(painted, [3], status="open")
    other = painted.run(shots=2, retrieve=True)
    assert other.prompt_hash not in hashes


def test_a_run_that_is_resumed_shows_what_it_showed_before(painted: Town) -> None:
    heard = listen(painted)
    change(painted, [4, 5], status="open")

    def stop(now: RunProgress) -> None:
        if now.done >= 2:
            raise ConflictError("Enough.")

    with pytest.raises(ConflictError, match="Enough"):
        painted.predict(hear=stop, shots=3, retrieve=True, concurrency=1)
    change(painted, [4, 5], status="approved")  # reviewed meanwhile
    with painted.ground.database.read() as connection:
        left = last_unfinished(connection, painted.ground.project, painted.model)
    run = painted.resume(left)
    assert run.done == len(SPLITS)
    assert set().union(*map(set, heard.values())) <= {0, 1, 2, 3}


def test_without_the_examples_of_its_beginning_a_run_is_not_resumed(painted: Town) -> None:
    def stop(now: RunProgress) -> None:
        raise ConflictError("Enough.")

    with pytest.raises(ConflictError, match="Enough"):
        painted.predict(hear=stop, shots=1)
    with painted.ground.database.read() as connection:
        left = last_unfinished(connection, painted.ground.project, painted.model)
    shutil.rmtree(get_settings().data / "examples")
    with pytest.raises(NotFoundError, match=r"is missing: restore it from a backup, or begin a new run"):
        painted.resume(left)


def test_with_nothing_reviewed_there_is_nothing_to_show(painted: Town) -> None:
    change(painted, sorted(TRAIN), status="open")
    with pytest.raises(ConflictError, match="has no reviewed training tile to show"):
        painted.run(shots=1)
    assert painted.vendor.seen == []


@pytest.mark.parametrize("column", [TEST, TEST - 1, 99])
def test_a_pool_with_a_tile_that_must_not_teach_is_refused(painted: Town, column: int) -> None:
    good = Example(painted.ground.tile(0), "painted", "{}")
    pool_hash = keep_pool(Pool((good, Example(painted.ground.tile(column), "painted", "{}"))))
    with (
        painted.ground.database.read() as connection,
        pytest.raises(InputError, match="is not a training tile of 'Town', so no model may be shown its answer"),
    ):
        open_pool(connection, painted.ground.project, pool_hash)
    with pytest.raises(InputError, match="is not a training tile"):
        painted.run(shots=1, pool=pool_hash)


def test_a_changed_pool_is_refused(painted: Town) -> None:
    pool_hash = keep_pool(Pool((Example(painted.ground.tile(0), "painted", "{}"),)))
    path = get_settings().data / "examples" / f"{pool_hash}.json"
    path.write_bytes(path.read_bytes().replace(b"{}", b"{ }"))
    with (
        painted.ground.database.read() as connection,
        pytest.raises(InputError, match="was changed after it was kept"),
    ):
        open_pool(connection, painted.ground.project, pool_hash)


def test_imagery_that_changed_under_an_example_stops_the_run(painted: Town) -> None:
    def change_it(now: RunProgress) -> None:
        raise ConflictError("Enough.")

    with pytest.raises(ConflictError, match="Enough"):
        painted.predict(hear=change_it, shots=1, concurrency=1)
    with painted.ground.database.read() as connection:
        left = last_unfinished(connection, painted.ground.project, painted.model)
    painted.ground.painted.fingerprint = "repainted"
    with pytest.raises(ConflictError, match="has changed since the run began: begin a new run"):
        painted.resume(left)


def test_the_first_examples_show_every_class(painted: Town) -> None:
    with painted.ground.database.read() as connection:
        pool = gather_pool(connection, painted.ground.project, painted.contract, painted.ground.sources, most=2)
    assert pool.examples[0].class_names == {"building"}
    assert len(pool.examples) == 2


def test_an_unknown_embedder_is_refused_with_those_there_are(painted: Town) -> None:
    with pytest.raises(InputError, match="'psychic' is not known to tell which tiles look alike: use light"):
        painted.run(shots=1, retrieve=True, embedder="psychic")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"shots": -1}, "-1 does not fit as shots of a run"),
        ({"budget": 0}, "0 does not fit as budget"),
        ({"concurrency": 1000}, "1000 does not fit as concurrency"),
        ({"retrieve": True}, "say how many with --shots"),
    ],
)
def test_wishes_that_cannot_be_are_refused(painted: Town, asked: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        painted.run(**asked)


def test_examples_are_gathered_from_either_database(database: Database) -> None:
    ground = lay_ground(database, splits=SPLITS)
    contract = contract_of(ground.project)
    with database.read() as connection:
        every = gather_pool(connection, ground.project, contract, ground.sources)
        few = gather_pool(connection, ground.project, contract, ground.sources, most=2)
    assert {each.tile for each in every.examples} == {ground.tile(column) for column in TRAIN}
    assert few.examples == every.examples[:2]
