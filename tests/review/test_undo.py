"""Undo: by time, across tiles; and no finished tile is left with anything that somebody took back."""

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from db.engine import Database
from db.models import Tile, TileFeature
from maploop.errors import ConflictError
from maploop.predict.file import import_predictions
from maploop.quality.acceptance import approve_tile, return_tile
from maploop.review.truth import import_annotations
from maploop.review.undo_import import undo_import
from tests.review.finished import finished_with_something_open
from tests.review.ground import FIRST, Ground, act, decision, geojson, lay_ground, square

TILE = str(FIRST)
NEXT = f"19/{FIRST.x + 1}/{FIRST.y}"


def undo(tile: str, taken_back: dict[str, Any], reference: object) -> dict[str, Any]:
    return decision(tile, reference, "undo", undoes=taken_back["id"], standing=taken_back["id"])


def finish(ground: Ground, who: str, tile: str) -> list[dict[str, Any]]:
    """Accept what is undecided on a tile, and say that nothing is missing."""
    left = [each for each in ground.deck(who, tile=tile)["features"] if each["verdict"] is None]
    entries = [decision(tile, each["id"], "accept") for each in left]
    assert ground.send(who, *entries, act(tile, "complete"))["refused"] == []
    return entries


def status(ground: Ground, tile: str) -> str:
    return str(ground.deck("anna", tile=tile)["tile"]["status"])


def test_the_latest_act_is_the_last_one_stored_on_whatever_tile(ground: Ground) -> None:
    finish(ground, "anna", TILE)
    ground.deck("anna", tile=NEXT)
    here = decision(NEXT, ground.features[NEXT][3], "accept")
    there = decision(NEXT, ground.features[NEXT][0], "reject")
    ground.send("anna", here, there)
    for expected in (there, here):
        answer = ground.open("anna", latest=True)
        assert (answer["deck"]["tile"]["address"], answer["latest"]["id"]) == (NEXT, expected["id"])
        ground.send("anna", undo(NEXT, expected, answer["latest"]["feature"]))
    answer = ground.open("anna", latest=True)
    assert (answer["deck"]["tile"]["address"], answer["latest"]["act"]) == (TILE, "complete")
    ground.send("anna", act(TILE, "reopen"))
    assert ground.open("anna", latest=True)["latest"]["act"] == "decision"


def test_nothing_of_ones_own_is_left_to_undo(ground: Ground) -> None:
    finish(ground, "bob", TILE)
    answer = ground.open("anna", latest=True)
    assert answer["deck"] is None
    assert "nothing of yours left to undo" in answer["nothing"]["reason"]


def test_a_tile_without_features_that_was_finished_last_is_what_is_taken_back(database: Database) -> None:
    ground = lay_ground(database, features=0)
    finish(ground, "anna", TILE)
    answer = ground.open("anna", latest=True)
    assert (answer["latest"]["act"], answer["deck"]["tile"]["address"]) == ("complete", TILE)


def test_an_undo_reopens_the_finished_neighbour_that_shares_the_feature(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    shared = ground.features[TILE][0]
    across = decision(TILE, shared, "correct", geometry=geojson(square(FIRST, 9, shift=0.05)))
    again = decision(TILE, shared, "reject", standing=across["id"])
    ground.send("anna", across)
    assert ground.send("anna", again)["refused"] == []
    finish(ground, "bob", NEXT)
    assert status(ground, NEXT) == "complete"
    ground.send("bob", act(NEXT, "release"))
    assert ground.send("anna", undo(TILE, again, shared))["refused"] == []
    assert status(ground, NEXT) == "open"


class Story:
    """Acts of two people at random over the ground, each as the browser or the pages would have it."""

    def __init__(self, ground: Ground, seed: int) -> None:
        self.ground = ground
        self.random = random.Random(seed)
        self.tiles = list(ground.features)[:2]
        self.steps = [self.decide, self.add, *[self.undo] * 3, *[self.finish] * 3, self.judge]
        with ground.database.write() as connection:  # its features lie across the border
            there = connection.execute(select(Tile.id).where(Tile.x == FIRST.x + 1)).scalar_one()
            shared = [{"tile_id": there, "feature_id": each} for each in ground.features[TILE]]
            connection.execute(insert(TileFeature), shared)

    def act(self) -> None:
        """Do one thing."""
        who, tile = self.random.choice(("anna", "bob")), self.random.choice(self.tiles)
        other = "bob" if who == "anna" else "anna"
        self.ground.send(other, *(act(each, "release") for each in self.tiles))
        features = self.ground.deck(who, tile=tile)["features"]
        step = self.random.choice(self.steps)
        step(who, tile, features)

    def decide(self, who: str, tile: str, features: list[dict[str, Any]]) -> None:
        if not features:
            return
        feature = self.random.choice(features)
        verdict = self.random.choice(("accept", "reject", "unsure", "correct"))
        more: dict[str, Any] = {"standing": feature["standing"]}
        if verdict == "correct":
            place, shift = self.random.randrange(10), self.random.choice((0.0, 0.05, -0.05))
            more["geometry"] = geojson(square(FIRST if tile == TILE else _next(), place, shift=shift))
        self.ground.send(who, decision(tile, feature["id"], verdict, **more))

    def add(self, who: str, tile: str, _features: list[dict[str, Any]]) -> None:
        shape = square(FIRST if tile == TILE else _next(), self.random.randrange(10), shift=0.05)
        self.ground.send(who, decision(tile, None, "add", geometry=geojson(shape)))

    def undo(self, who: str, _tile: str, _features: list[dict[str, Any]]) -> None:
        for _ in range(self.random.randint(1, 6)):
            answer = self.ground.open(who, latest=True)
            if answer["deck"] is None:
                return
            where, latest = answer["deck"]["tile"]["address"], answer["latest"]
            entry = act(where, "reopen")
            if latest["act"] == "decision":
                entry = undo(where, latest, latest["feature"])
            assert self.ground.send(who, entry)["refused"] == []

    def finish(self, who: str, tile: str, features: list[dict[str, Any]]) -> None:
        entries = [decision(tile, each["id"], "accept") for each in features if each["verdict"] is None]
        kept = entries if self.random.random() < 0.8 else entries[1:]
        self.ground.send(who, *kept, act(tile, "complete"))

    def judge(self, who: str, tile: str, _features: list[dict[str, Any]]) -> None:
        address = FIRST if tile == TILE else _next()
        with self.ground.database.write() as connection:
            found = connection.execute(select(Tile.status).where(Tile.x == address.x, Tile.y == address.y)).scalar()
            if found == "complete" and self.random.random() < 0.5:
                return_tile(connection, self.ground.project, address, self.ground.people[who], "look again")
            elif found == "complete":
                with contextlib.suppress(ConflictError):  # unsure ones, or one's own work
                    approve_tile(connection, self.ground.project, address, self.ground.people[who])


def _next() -> Any:
    return type(FIRST)(FIRST.z, FIRST.x + 1, FIRST.y)


@pytest.mark.parametrize("seed", range(3))
def test_no_finished_tile_holds_anything_undecided_after_any_act(ground: Ground, seed: int) -> None:
    story = Story(ground, seed)
    for _ in range(50):
        story.act()
        assert finished_with_something_open(ground.database) == []


def write_squares(path: Path, *places: tuple[str, int]) -> Path:
    """A GeoJSON file of buildings, each a tile and its place there."""
    shapes = [square(FIRST if tile == TILE else _next(), place) for tile, place in places]
    features = [
        {"type": "Feature", "properties": {"class": "building"}, "geometry": geojson(shape)} for shape in shapes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_what_a_newer_model_finds_on_a_finished_tile_waits_for_a_second_look(ground: Ground, tmp_path: Path) -> None:
    finish(ground, "anna", TILE)
    ground.send("anna", act(TILE, "release"))
    found = write_squares(tmp_path / "newer.geojson", (TILE, 0), (TILE, 77), (TILE, 78))
    import_predictions(ground.database, ground.project, found, model_name="second")
    assert finished_with_something_open(ground.database) == []
    deck = ground.deck("anna", tile=TILE)
    newer = [each for each in deck["features"] if each["verdict"] is None]
    assert (deck["tile"]["status"], len(newer)) == ("complete", 2)
    with ground.database.write() as connection, pytest.raises(ConflictError, match="unsure or undecided"):
        approve_tile(connection, ground.project, FIRST, ground.people["bob"])
    ground.send("anna", decision(TILE, newer[0]["id"], "reject"))
    assert finished_with_something_open(ground.database) == []
    assert "still has 1 undecided" in ground.send("anna", act(TILE, "complete"))["refused"][0]["message"]


def test_known_truth_leaves_nothing_open_neither_brought_in_nor_taken_back(ground: Ground, tmp_path: Path) -> None:
    finish(ground, "anna", NEXT)
    ground.send("anna", act(NEXT, "release"))
    known = write_squares(tmp_path / "known.geojson", (TILE, 0), (TILE, 50), (NEXT, 1))
    answer = import_annotations(
        ground.database, ground.project, known, annotator="anna", complete_all=True, outside_imagery=True
    )
    assert finished_with_something_open(ground.database) == []
    undo_import(ground.database, ground.project, answer["import"], "anna")
    assert finished_with_something_open(ground.database) == []


def test_an_undo_brings_back_nothing_of_an_import_that_was_taken_back(ground: Ground, tmp_path: Path) -> None:
    database, project, tile = ground.database, ground.project, str(FIRST)
    written = write_squares(tmp_path / "new.geojson", (tile, 55))
    run = import_predictions(database, project, written, model_name="new", annotator="anna", class_name="building")
    (found,) = [
        each["id"] for each in ground.deck("anna", tile=tile)["features"] if each["id"] not in ground.features[tile]
    ]
    accepted = decision(tile, found, "accept")
    assert ground.send("anna", accepted)["refused"] == []
    undo_import(database, project, run["import"], "anna")
    assert ground.send("anna", undo(tile, accepted, found), act(tile, "release"))["refused"] == []
    assert found not in [each["id"] for each in ground.deck("anna", tile=tile)["features"]]
    ground.send("anna", act(tile, "release"))
    again = write_squares(tmp_path / "again.geojson", (tile, 60))  # what is uncertain there is asked once more
    import_predictions(database, project, again, model_name="other", annotator="anna", class_name="building")

    written = write_squares(tmp_path / "truth.geojson", (tile, 77))
    truth = import_annotations(database, project, written, annotator="anna", class_name="building", area=FIRST.polygon)
    (added,) = [each for each in ground.deck("bob", tile=tile)["features"] if each["verdict"] == "add"]
    rejected = decision(tile, added["id"], "reject", standing=added["standing"])
    assert ground.send("bob", rejected, act(tile, "release"))["refused"] == []
    undo_import(database, project, truth["import"], "anna")
    assert ground.send("bob", undo(tile, rejected, added["id"]))["refused"] == []
    assert "add" not in [each["verdict"] for each in ground.deck("bob", tile=tile)["features"]]
    assert finished_with_something_open(database) == []
