"""Decisions: stored once, for ever, and moving the feature they are about."""

from typing import Any
from uuid import uuid4

import pytest
import shapely
from sqlalchemy import func, select

from db.models import Decision, Feature, TileFeature
from tests.review.ground import FIRST, Ground, act, decision, geojson, square

TILE = str(FIRST)


def count(ground: Ground, table: Any) -> int:
    with ground.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_decision_is_stored_once_however_often_it_arrives(ground: Ground) -> None:
    ground.deck("anna")
    entry = decision(TILE, ground.features[TILE][0], "accept")
    for _ in range(3):
        assert ground.send("anna", entry, entry) == {"stored": [entry["id"], entry["id"]], "refused": []}
    assert count(ground, Decision) == 1


def test_somebody_elses_decision_id_is_refused(ground: Ground) -> None:
    ground.deck("anna")
    entry = decision(TILE, ground.features[TILE][0], "accept")
    ground.send("anna", entry)
    assert ground.send("bob", entry)["refused"][0]["code"] == "invalid"


@pytest.mark.parametrize("verdict", ["accept", "reject", "unsure"])
def test_a_verdict_shows_on_the_feature(ground: Ground, verdict: str) -> None:
    ground.deck("anna")
    feature = ground.features[TILE][0]
    entry = decision(TILE, feature, verdict, reason="duplicate" if verdict == "reject" else None)
    assert ground.send("anna", entry)["refused"] == []
    shown = ground.feature("anna", TILE, feature)
    assert (shown["verdict"], shown["standing"], shown["decidedBy"]) == (verdict, entry["id"], "anna")
    assert shown["reason"] == ("duplicate" if verdict == "reject" else None)


def test_a_correction_keeps_before_and_after(ground: Ground) -> None:
    ground.deck("anna")
    feature = ground.features[TILE][0]
    moved = square(FIRST, 55)
    entry = decision(TILE, feature, "correct", geometry=geojson(moved), **{"class": "shed"})
    assert ground.send("anna", entry)["refused"] == []
    with ground.database.read() as connection:
        row = connection.execute(select(Decision.__table__).where(Decision.id == entry["id"])).mappings().one()
    assert row["geometry"].equals(moved)
    assert row["geometry_before"].equals(square(FIRST, 0))
    assert row["class_before_id"] == ground.project.class_named("building").id
    assert row["class_id"] == ground.project.class_named("shed").id
    assert (row["seconds"], row["prediction_id"] is not None, row["model_id"] is not None) == (1.5, True, True)


def test_changing_only_the_class_keeps_the_geometry(ground: Ground) -> None:
    ground.deck("anna")
    feature = ground.features[TILE][0]
    ground.send("anna", decision(TILE, feature, "correct", **{"class": "shed"}))
    shown = ground.feature("anna", TILE, feature)
    assert (shown["class"], shown["verdict"]) == ("shed", "correct")
    assert shapely.from_geojson(str(shown["geometry"]).replace("'", '"')).equals(square(FIRST, 0))


def test_accepting_after_a_correction_takes_what_the_model_said(ground: Ground) -> None:
    ground.deck("anna")
    feature = ground.features[TILE][0]
    first = decision(TILE, feature, "correct", geometry=geojson(square(FIRST, 55)))
    ground.send("anna", first, decision(TILE, feature, "accept", standing=first["id"]))
    shown = ground.feature("anna", TILE, feature)
    assert shown["geometry"] == shown["predicted"]["geometry"]


def test_undo_returns_to_the_decision_before_and_then_to_the_prediction(ground: Ground) -> None:
    ground.deck("anna")
    feature = ground.features[TILE][0]
    first = decision(TILE, feature, "correct", geometry=geojson(square(FIRST, 55)))
    second = decision(TILE, feature, "reject", standing=first["id"])
    undo_second = decision(TILE, feature, "undo", undoes=second["id"], standing=second["id"])
    undo_first = decision(TILE, feature, "undo", undoes=first["id"], standing=first["id"])
    ground.send("anna", first, second)
    assert ground.send("anna", undo_second)["refused"] == []
    shown = ground.feature("anna", TILE, feature)
    assert (shown["verdict"], shown["standing"]) == ("correct", first["id"])
    assert ground.send("anna", undo_first)["refused"] == []
    shown = ground.feature("anna", TILE, feature)
    assert (shown["verdict"], shown["standing"]) == (None, None)
    assert shown["geometry"] == shown["predicted"]["geometry"]
    assert count(ground, Decision) == 4


def test_what_was_added_can_be_corrected_by_its_id_and_undone_away(ground: Ground) -> None:
    ground.deck("anna")
    added = decision(TILE, None, "add", geometry=geojson(square(FIRST, 77)))
    corrected = decision(TILE, added["id"], "correct", geometry=geojson(square(FIRST, 78)), standing=added["id"])
    undo_correction = decision(TILE, added["id"], "undo", undoes=corrected["id"], standing=corrected["id"])
    undo_addition = decision(TILE, added["id"], "undo", undoes=added["id"], standing=added["id"])
    assert ground.send("anna", added, corrected)["refused"] == []
    assert ground.feature("anna", TILE, added["id"])["verdict"] == "correct"
    assert ground.send("anna", undo_correction, undo_addition)["refused"] == []
    assert added["id"] not in [each["id"] for each in ground.deck("anna", tile=TILE)["features"]]


def test_a_decision_on_a_feature_that_moved_on_is_refused_and_shown_as_it_is(ground: Ground) -> None:
    ground.deck("anna")
    feature = ground.features[TILE][0]
    first = decision(TILE, feature, "reject")
    ground.send("anna", first)
    answer = ground.send("anna", decision(TILE, feature, "accept"))
    assert answer["stored"] == []
    refused = answer["refused"][0]
    assert (refused["code"], refused["feature"]["verdict"]) == ("conflict", "reject")
    assert ground.send("anna", decision(TILE, feature, "accept", standing=first["id"]))["refused"] == []


def test_undoing_what_no_longer_stands_is_refused(ground: Ground) -> None:
    ground.deck("anna")
    feature = ground.features[TILE][0]
    first = decision(TILE, feature, "reject")
    second = decision(TILE, feature, "accept", standing=first["id"])
    ground.send("anna", first, second)
    answer = ground.send("anna", decision(TILE, feature, "undo", undoes=first["id"], standing=second["id"]))
    assert answer["refused"][0]["code"] == "conflict"


def test_a_feature_across_a_border_is_decided_once_for_both_tiles(ground: Ground) -> None:
    ground.deck("anna")
    neighbour = f"19/{FIRST.x + 1}/{FIRST.y}"
    added = decision(TILE, None, "add", geometry=geojson(square(FIRST, 9, shift=0.05)))
    ground.send("anna", added)
    shown = ground.feature("bob", neighbour, added["id"])
    assert (shown["verdict"], shown["decidedBy"]) == ("add", "anna")


def test_moving_a_feature_moves_it_between_tiles(ground: Ground) -> None:
    ground.deck("anna")
    added = decision(TILE, None, "add", geometry=geojson(square(FIRST, 9, shift=0.05)))
    back = decision(TILE, added["id"], "correct", geometry=geojson(square(FIRST, 33)), standing=added["id"])
    ground.send("anna", added, back)
    with ground.database.read() as connection:
        places = connection.execute(
            select(func.count())
            .select_from(TileFeature)
            .join(Feature, Feature.id == TileFeature.feature_id)
            .where(Feature.added_as == added["id"])
        ).scalar_one()
    assert places == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"feature": 999_999}, "is not on tile"),
        ({"feature": str(uuid4())}, "is not on tile"),
        ({"feature": None}, "names no feature"),
        ({"verdict": "mabye"}, "verdict"),
        ({"class": "castle", "verdict": "correct"}, "is not a class of"),
        ({"class": "road", "verdict": "correct"}, "reject it and draw anew"),
        ({"tile": "19/1/1"}, "is not a tile of"),
        ({"tile": "../../etc"}, "is not a tile address"),
        ({"seconds": -1}, "seconds"),
        ({"reason": "<b>"}, "reason"),
        ({"verdict": "correct", "geometry": {"type": "Polygon", "coordinates": []}}, "nest"),
        ({"verdict": "correct", "geometry": {"type": "Point", "coordinates": [0, 0]}}, "Polygon"),
        ({"verdict": "correct", "geometry": geojson(square(FIRST, 0, shift=40))}, "outside tile"),
        ({"verdict": "add"}, "needs a geometry"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_and_changes_nothing(
    ground: Ground, change: dict[str, Any], text: str
) -> None:
    ground.deck("anna")
    entry = decision(TILE, ground.features[TILE][0], "accept") | change
    fine = decision(TILE, ground.features[TILE][1], "accept")
    answer = ground.send("anna", entry, fine)
    assert answer["stored"] == [fine["id"]]
    assert text in answer["refused"][0]["message"]
    assert "\n" not in answer["refused"][0]["message"]
    assert count(ground, Decision) == 1


@pytest.mark.parametrize("item", [None, 3, "x", [], {}, {"type": "decision"}, {"type": "tile", "id": "x"}])
def test_nonsense_in_the_outbox_is_refused_one_by_one(ground: Ground, item: object) -> None:
    answer = ground.send("anna", item)
    assert answer["stored"] == []
    assert answer["refused"][0]["code"] == "invalid"


def test_a_feature_of_another_project_is_out_of_reach(ground: Ground) -> None:
    other = decision(TILE, ground.features[f"19/{FIRST.x + 1}/{FIRST.y}"][0], "accept")
    ground.deck("anna")
    assert "is not on tile" in ground.send("anna", other)["refused"][0]["message"]


def test_a_tile_is_complete_only_when_every_feature_is_decided(ground: Ground) -> None:
    ground.deck("anna")
    *most, last = ground.features[TILE]
    ground.send("anna", *(decision(TILE, each, "accept") for each in most))
    assert "still has 1 undecided" in ground.send("anna", act(TILE, "complete"))["refused"][0]["message"]
    answer = ground.send("anna", decision(TILE, last, "reject"), act(TILE, "complete"))
    assert answer["refused"] == []
    assert answer["progress"]["tiles"] == {"finished": 1, "total": 4, "mine": 1}


def test_deciding_on_a_finished_tile_opens_it_again(ground: Ground) -> None:
    ground.deck("anna")
    entries = [decision(TILE, each, "accept") for each in ground.features[TILE]]
    ground.send("anna", *entries, act(TILE, "complete"))
    assert ground.deck("anna", tile=TILE)["tile"]["status"] == "complete"
    change = decision(TILE, ground.features[TILE][0], "reject", standing=entries[0]["id"])
    ground.send("anna", change)
    assert ground.deck("anna", tile=TILE)["tile"]["status"] == "open"
