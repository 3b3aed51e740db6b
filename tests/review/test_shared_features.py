"""A feature that lies on several tiles, decided from one of them: the finished ones among the others are told."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import shapely
from sqlalchemy import Connection, select, text

from db.engine import Database
from db.models import Feature, Tile, TileEvent, TileFeature
from maploop.errors import ConflictError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.quality.acceptance import approve_all_own, approve_tile
from maploop.review.neighbours import changes
from maploop.review.standing import Standing
from maploop.review.truth import import_annotations
from tests.review.finished import finished_with_something_open
from tests.review.ground import FIRST, Ground, act, decision, geojson, square
from tests.review.test_undo import finish

TILE = str(FIRST)
BESIDE = TileAddress(FIRST.z, FIRST.x + 1, FIRST.y)
NEXT = str(BESIDE)
ACROSS = square(FIRST, 9, shift=0.05)  # half of it lies on either tile


@pytest.fixture
def shared(ground: Ground) -> dict[str, Any]:
    """A feature across the border, corrected by bob on NEXT, which he then finished; as TILE shows it to anna."""
    feature = ground.features[TILE][0]
    with ground.database.write() as connection:
        there = connection.execute(select(Tile.id).where(Tile.x == BESIDE.x)).scalar_one()
        connection.execute(TileFeature.__table__.insert().values(tile_id=there, feature_id=feature))  # type: ignore[attr-defined]
    ground.deck("bob", tile=NEXT)
    corrected = decision(NEXT, feature, "correct", geometry=geojson(ACROSS))
    assert ground.send("bob", corrected)["refused"] == []
    finish(ground, "bob", NEXT)
    return ground.feature("anna", TILE, feature)


def row_of(ground: Ground, address: TileAddress) -> Any:
    with ground.database.read() as connection:
        query = select(Tile.id, Tile.status, Tile.comment, Tile.finished_by).where(Tile.x == address.x)
        return connection.execute(query).one()


def reopenings(ground: Ground, address: TileAddress) -> list[Any]:
    with ground.database.read() as connection:
        query = select(TileEvent.annotator_id, TileEvent.comment).join(Tile, Tile.id == TileEvent.tile_id)
        return list(connection.execute(query.where(Tile.x == address.x, TileEvent.act == "reopen")).all())


def entry_for(verdict: str, feature: dict[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {"standing": feature["standing"]}
    if verdict == "correct":
        more["geometry"] = geojson(square(FIRST, 9, shift=0.06))
    if verdict == "class":
        return decision(TILE, feature["id"], "correct", **{**more, "class": "shed"})
    if verdict == "add":
        return decision(TILE, None, "add", geometry=geojson(square(FIRST, 29, shift=0.05)))
    return decision(TILE, feature["id"], verdict, **more)


@pytest.mark.parametrize("verdict", ["reject", "correct", "class", "accept", "unsure", "add"])
def test_a_finished_tile_of_somebody_else_that_a_decision_changes_is_open_again_and_says_why(
    ground: Ground, shared: dict[str, Any], verdict: str
) -> None:
    if verdict == "accept":  # takes back to TILE what the model had said: a square that does not reach across
        assert shared["predicted"] is not None
    entry = entry_for(verdict, shared)
    assert ground.send("anna", entry)["refused"] == []
    tile = row_of(ground, BESIDE)
    assert (tile.status, tile.finished_by) == ("open", ground.people["bob"])
    assert f"from tile {TILE}" in tile.comment
    assert tile.comment.startswith("anna ")
    assert reopenings(ground, BESIDE) == [(ground.people["anna"], tile.comment)]
    assert ground.send("anna", entry)["stored"] == [entry["id"]]  # once more, from the outbox of a browser that died
    assert len(reopenings(ground, BESIDE)) == 1
    deck = ground.deck("bob")
    assert (deck["tile"]["address"], deck["tile"]["comment"]) == (NEXT, tile.comment)  # first in its finisher's queue
    assert finished_with_something_open(ground.database) == []
    assert ground.send("bob", act(NEXT, "complete"))["refused"] == []
    assert (row_of(ground, BESIDE).status, row_of(ground, BESIDE).comment) == ("complete", "")


def test_a_decision_that_changes_nothing_on_the_finished_tile_leaves_it_finished(
    ground: Ground, shared: dict[str, Any]
) -> None:
    west, south, east, north = ACROSS.bounds
    wider = shapely.box(west - (east - west) / 10, south, east, north)  # on TILE's side alone
    entries = [
        decision(TILE, shared["id"], "correct", standing=shared["standing"], geometry=geojson(wider)),
        decision(TILE, None, "add", geometry=geojson(square(FIRST, 55))),
    ]
    assert ground.send("anna", *entries)["refused"] == []
    assert row_of(ground, BESIDE).status == "complete"
    assert reopenings(ground, BESIDE) == []


def test_an_added_feature_that_is_deleted_from_the_tile_beside_opens_the_finished_one(ground: Ground) -> None:
    ground.deck("bob", tile=NEXT)
    added = decision(NEXT, None, "add", geometry=geojson(ACROSS))
    assert ground.send("bob", added)["refused"] == []
    finish(ground, "bob", NEXT)
    ground.deck("anna", tile=TILE)
    delete = decision(TILE, added["id"], "reject", standing=added["id"])
    assert ground.send("anna", delete)["refused"] == []
    assert row_of(ground, BESIDE).status == "open"


def test_ones_own_complete_tile_stays_so_and_an_approved_one_waits_for_approval_again(ground: Ground) -> None:
    for each in (TILE, NEXT):
        ground.deck("anna", tile=each)
    across = decision(NEXT, ground.features[NEXT][0], "correct", geometry=geojson(ACROSS))
    assert ground.send("anna", across)["refused"] == []
    finish(ground, "anna", NEXT)
    wider = geojson(square(FIRST, 9, shift=0.06))
    again = decision(TILE, across["feature"], "correct", standing=across["id"], geometry=wider)
    assert ground.send("anna", again)["refused"] == []
    assert row_of(ground, BESIDE).status == "complete"
    with ground.database.write() as connection:
        approve_tile(connection, ground.project, BESIDE, ground.people["bob"])
    reject = decision(TILE, across["feature"], "reject", standing=again["id"])
    assert ground.send("anna", reject)["refused"] == []
    assert row_of(ground, BESIDE).status == "open"
    ground.deck("anna", tile=NEXT)
    assert ground.send("anna", act(NEXT, "complete"))["refused"] == []
    assert row_of(ground, BESIDE).status == "complete"


def test_approving_all_approves_nothing_that_was_opened_from_the_tile_beside(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    across = decision(TILE, ground.features[TILE][0], "correct", geometry=geojson(ACROSS))
    assert ground.send("anna", across)["refused"] == []
    finish(ground, "anna", NEXT)
    finish(ground, "anna", TILE)
    ground.deck("anna", tile=TILE)
    undo = decision(TILE, across["feature"], "undo", undoes=across["id"], standing=across["id"])
    assert ground.send("anna", undo)["refused"] == []
    with ground.database.write() as connection:
        assert approve_all_own(connection, ground.project, ground.people["anna"]).approved == 0
    assert finished_with_something_open(ground.database) == []


def test_a_file_of_truth_opens_the_finished_tiles_that_it_changes_and_does_not_cover(
    ground: Ground, shared: dict[str, Any], tmp_path: Path
) -> None:
    outlines = [square(FIRST, place) for place in range(1, 4)] + [square(FIRST, 29, shift=0.05)]
    features = [{"type": "Feature", "properties": {}, "geometry": geojson(each)} for each in outlines]
    path = tmp_path / "known.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    ground.send("anna", act(TILE, "release"))
    answer = import_annotations(
        ground.database, ground.project, path, annotator="anna", class_name="building", area=FIRST.polygon
    )
    assert (answer["reopened"], answer["completed"]) == (1, 1)
    tile = row_of(ground, BESIDE)
    assert (tile.status, tile.finished_by) == ("open", ground.people["bob"])
    assert "known.geojson, imported by anna" in tile.comment
    assert finished_with_something_open(ground.database) == []
    assert shared["verdict"] == "correct"


def test_a_complete_tile_that_a_file_of_truth_covers_and_changes_is_whose_file_it_is(
    ground: Ground, tmp_path: Path
) -> None:
    finish(ground, "bob", TILE)
    features = [{"type": "Feature", "properties": {}, "geometry": geojson(square(FIRST, 55))}]
    path = tmp_path / "known.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    answer = import_annotations(
        ground.database, ground.project, path, annotator="anna", class_name="building", area=FIRST.polygon
    )
    assert (answer["completed"], answer["reopened"]) == (0, 0)
    assert (row_of(ground, FIRST).status, row_of(ground, FIRST).finished_by) == ("complete", ground.people["anna"])


def _wait_until_blocked(database: Database, worker: threading.Event) -> None:
    """Return when a transaction waits for a lock, or the worker is done; SQLite has one writer, who waits unseen."""
    while not worker.is_set() and not database.is_sqlite:
        with database.read() as connection:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if connection.execute(text(query)).scalar_one():
                return
        time.sleep(0.01)


def _at_the_same_moment(ground: Ground, first: Any, second: Any) -> tuple[Any, Any]:
    """Send two people's entries in transactions that overlap where the database lets them; the first commits first."""
    done = threading.Event()

    def follow() -> Any:
        try:
            return ground.send(*second)
        finally:
            done.set()

    from maploop.review.outbox import store_outbox

    with ThreadPoolExecutor(1) as pool:
        with ground.database.write() as connection:
            answer = store_outbox(connection, ground.project, ground.people[first[0]], list(first[1:]))
            later = pool.submit(follow)
            _wait_until_blocked(ground.database, done)
        return answer, later.result(timeout=60)


def test_a_tile_is_not_finished_while_somebody_takes_back_a_decision_on_it_from_beside(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    across = decision(TILE, ground.features[TILE][0], "correct", geometry=geojson(ACROSS))
    assert ground.send("anna", across)["refused"] == []
    left = [each for each in ground.deck("bob", tile=NEXT)["features"] if each["verdict"] is None]
    ground.send("bob", *[decision(NEXT, each["id"], "accept") for each in left])
    # back to what the model said, on TILE alone, then across again by another's prediction would be undecided there
    undo = decision(TILE, across["feature"], "undo", undoes=across["id"], standing=across["id"])
    with ground.database.write() as connection:  # the model had it across the border too
        _predict_across(connection, ground.features[TILE][0])
    taken_back, completed = _at_the_same_moment(ground, ("anna", undo), ("bob", act(NEXT, "complete")))
    assert taken_back["refused"] == []
    assert "still has 1 undecided" in completed["refused"][0]["message"]
    assert finished_with_something_open(ground.database) == []


def _predict_across(connection: Connection, feature: int) -> None:
    moved = "UPDATE prediction SET geometry = :geometry WHERE feature_id = :feature"
    for statement in _without_guard(connection):
        connection.exec_driver_sql(statement)
    connection.execute(text(moved), {"geometry": shapely.to_wkb(ACROSS), "feature": feature})


def _without_guard(connection: Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name FROM sqlite_master WHERE type='trigger' AND tbl_name='prediction'"))
        return [f"DROP TRIGGER {name}" for (name,) in rows.all()]
    rows = connection.execute(
        text("SELECT tgname FROM pg_trigger WHERE tgrelid = 'prediction'::regclass AND NOT tgisinternal")
    )
    return [f"DROP TRIGGER {name} ON prediction" for (name,) in rows.all()]


def test_of_two_who_decide_one_feature_from_two_tiles_at_the_same_moment_the_second_is_told(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    across = decision(TILE, ground.features[TILE][0], "correct", geometry=geojson(ACROSS))
    assert ground.send("anna", across)["refused"] == []
    ground.deck("bob", tile=NEXT)
    accept = decision(TILE, across["feature"], "unsure", standing=across["id"])
    reject = decision(NEXT, across["feature"], "reject", standing=across["id"])
    first, second = _at_the_same_moment(ground, ("anna", accept), ("bob", reject))
    assert first["refused"] == []
    assert [each["code"] for each in second["refused"]] == ["conflict"]
    with ground.database.read() as connection:
        verdict = connection.execute(select(Feature.verdict).where(Feature.id == across["feature"])).scalar_one()
    assert verdict == "unsure"


def standing(verdict: str | None, geometry: Any = ACROSS, class_id: int = 1) -> Standing:
    return Standing(verdict, class_id, geometry, None)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (standing("accept"), standing("accept"), False),
        (standing("add"), standing("correct"), False),
        (standing("accept"), standing("reject"), True),
        (standing("reject"), standing("accept"), True),
        (standing(None), standing("reject"), False),
        (standing(None), standing("accept"), True),
        (standing("accept"), standing("unsure"), True),
        (standing("unsure"), standing("reject"), True),
        (standing("reject"), standing(None), True),
        (standing("accept"), standing("accept", class_id=2), True),
        (standing("accept"), standing("correct", square(FIRST, 9)), True),
        (standing("accept", square(FIRST, 9)), standing("reject", square(FIRST, 9)), False),
        (None, standing("add"), True),
        (None, standing("add", square(FIRST, 3)), False),
    ],
)
def test_annotations_of_a_tile_change_by_what_of_the_feature_lies_on_it(
    before: Standing | None, after: Standing, expected: bool
) -> None:
    assert changes(BESIDE.polygon, before, after) is expected


def test_nobody_approves_a_tile_that_was_opened_from_beside(ground: Ground, shared: dict[str, Any]) -> None:
    ground.send("anna", entry_for("reject", shared))
    with ground.database.write() as connection, pytest.raises(ConflictError, match="it is open, not complete"):
        approve_tile(connection, ground.project, BESIDE, ground.people["anna"])
