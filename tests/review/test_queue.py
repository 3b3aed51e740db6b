"""Claims and the queue: who gets which tile, and why there is none."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from db.models import Claim, Feature, Tile
from db.types import utc_now
from maploop.errors import ClaimError
from maploop.imagery.tilemath import parse_tile
from tests.review.ground import FIRST, Ground, act, decision

TILE = str(FIRST)


def let_claims_expire(ground: Ground) -> None:
    with ground.database.write() as connection:
        connection.execute(update(Claim).values(expires_at=utc_now() - timedelta(seconds=1)))


def finish(ground: Ground, who: str, tile: str, verdict: str = "accept") -> None:
    ground.deck(who, tile=tile)
    entries = [decision(tile, each, verdict) for each in ground.features[tile]]
    assert ground.send(who, *entries, act(tile, "complete"))["refused"] == []


def test_two_people_never_hold_one_tile(ground: Ground) -> None:
    held = [ground.deck("anna")["tile"]["address"]]
    for _ in range(3):
        held.append(ground.deck("bob", holding=held[1:])["tile"]["address"])
    assert len(set(held)) == 4
    with pytest.raises(ClaimError, match="held by anna"):
        ground.open("bob", tile=held[0])


def test_opening_again_resumes_the_tile_one_holds(ground: Ground) -> None:
    first = ground.deck("anna")["tile"]["address"]
    assert ground.deck("anna")["tile"]["address"] == first


def test_a_tile_fetched_ahead_is_kept_for_its_annotator_and_can_be_given_back(ground: Ground) -> None:
    first = ground.deck("anna")["tile"]["address"]
    ahead = ground.deck("anna", ahead=True, holding=[first])["tile"]["address"]
    assert ahead != first
    assert ground.deck("bob")["tile"]["address"] not in (first, ahead)
    ground.send("anna", act(ahead, "release"))
    assert ground.deck("bob", tile=ahead)["tile"]["address"] == ahead


def test_an_expired_claim_blocks_nobody(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    let_claims_expire(ground)
    assert ground.deck("bob", tile=TILE)["tile"]["address"] == TILE


def test_who_comes_back_late_keeps_the_tile_if_it_is_still_free(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    let_claims_expire(ground)
    assert ground.send("anna", decision(TILE, ground.features[TILE][0], "accept"))["refused"] == []


def test_who_comes_back_too_late_is_refused_and_the_features_are_offered_to_the_other(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    let_claims_expire(ground)
    ground.deck("bob", tile=TILE)
    answer = ground.send("anna", decision(TILE, ground.features[TILE][0], "accept"), act(TILE, "complete"))
    assert [each["code"] for each in answer["refused"]] == ["claim", "claim"]
    assert "held by bob" in answer["refused"][0]["message"]
    assert {each["verdict"] for each in ground.deck("bob", tile=TILE)["features"]} == {None}


def test_a_decision_without_a_claim_is_refused_while_another_holds_the_tile(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    answer = ground.send("bob", decision(TILE, ground.features[TILE][0], "accept"))
    assert answer["refused"][0]["code"] == "claim"


@pytest.mark.parametrize(
    ("order", "columns"), [("place", [0, 1, 2, 3]), ("uncertainty", [3, 2, 1, 0]), ("random", [0, 3, 2, 1])]
)
def test_tiles_come_in_the_order_asked_for(ground: Ground, order: str, columns: list[int]) -> None:
    seen: list[str] = []
    for _ in range(4):
        seen.append(ground.deck("anna", order=order, holding=seen)["tile"]["address"])
    assert [int(each.split("/")[1]) - FIRST.x for each in seen] == columns


@pytest.mark.parametrize(("share", "drawn_by"), [(0.0, "uncertainty"), (1.0, "random")])
def test_the_mixed_order_says_how_each_tile_was_drawn(ground: Ground, share: float, drawn_by: str) -> None:
    assert ground.deck("anna", order="mixed", randomShare=share)["tile"]["drawnBy"] == drawn_by


def test_a_filter_leaves_out_tiles_without_a_fitting_feature(ground: Ground) -> None:
    wanted = f"19/{FIRST.x + 2}/{FIRST.y}"
    with ground.database.write() as connection:
        shed = ground.project.class_named("shed").id
        connection.execute(update(Feature).where(Feature.id == ground.features[wanted][0]).values(class_id=shed))
    deck = ground.deck("anna", filter={"class": "shed"})
    assert deck["tile"]["address"] == wanted
    nothing = ground.open("anna", filter={"class": "shed"}, holding=[wanted])
    assert "fits the filter" in nothing["nothing"]["reason"]
    assert ground.open("anna", filter={"minScore": 0.9})["deck"] is None
    assert ground.open("anna", filter={"minScore": 0.7, "maxScore": 0.8})["deck"] is not None


@pytest.mark.parametrize("verdict", ["accept", "reject", "unsure"])
def test_a_filter_finds_what_was_decided_on_finished_tiles_too(ground: Ground, verdict: str) -> None:
    first, second = list(ground.features)[:2]
    finish(ground, "anna", second)
    feature = ground.feature("bob", second, ground.features[second][0])
    ground.send("bob", decision(second, feature["id"], verdict, standing=feature["standing"]))
    ground.send("bob", act(second, "complete"))
    wanted = {"status": verdict, "class": "building"}
    assert ground.deck("bob", filter=wanted, holding=[first])["tile"]["address"] == second
    assert ground.open("bob", filter=wanted, holding=[first, second])["deck"] is None
    assert ground.open("bob", filter={"status": "correct"})["deck"] is None


def test_what_another_window_of_the_same_person_held_already_is_said_to_be(ground: Ground) -> None:
    first = ground.deck("anna")
    again = ground.deck("anna")
    by_address = ground.deck("anna", tile=first["tile"]["address"])
    other = ground.deck("bob")
    assert again["tile"]["address"] == first["tile"]["address"] != other["tile"]["address"]
    assert [each["claim"]["wasHeld"] for each in (first, again, by_address, other)] == [False, True, True, False]


def test_a_returned_tile_comes_first_to_whoever_finished_it(ground: Ground) -> None:
    last = f"19/{FIRST.x + 3}/{FIRST.y}"
    finish(ground, "anna", last)
    with ground.database.write() as connection:
        connection.execute(update(Tile).where(Tile.x == FIRST.x + 3).values(status="returned", comment="roofs <b>"))
    deck = ground.deck("anna")
    assert (deck["tile"]["address"], deck["tile"]["comment"], deck["tile"]["drawnBy"]) == (
        last,
        "roofs <b>",
        "returned",
    )
    assert ground.deck("bob")["tile"]["address"] != last


def test_back_leads_through_the_tiles_one_finished_latest_first(ground: Ground) -> None:
    tiles = [f"19/{FIRST.x + number}/{FIRST.y}" for number in range(3)]
    for tile in tiles[:2]:
        finish(ground, "anna", tile)
    assert ground.deck("anna", back=tiles[2])["tile"]["address"] == tiles[1]
    assert ground.deck("anna", back=tiles[1])["tile"]["address"] == tiles[0]
    assert ground.open("anna", back=tiles[0])["nothing"]["reason"].startswith("There is no earlier tile")


def test_nothing_left_says_why(ground: Ground) -> None:
    tiles = list(ground.features)
    ground.deck("bob", tile=tiles[0])
    for tile in tiles[1:]:
        finish(ground, "anna", tile)
    assert "held by 1 other person" in ground.open("anna")["nothing"]["reason"]
    finish(ground, "bob", tiles[0])
    nothing = ground.open("anna")["nothing"]
    assert nothing["reason"].startswith("Every tile is finished: 4 tiles, 16 decisions")
    assert nothing["page"] == "quality"


def test_tiles_without_imagery_are_not_handed_out_and_said_so(ground: Ground) -> None:
    with ground.database.write() as connection:
        connection.execute(update(Tile).values(imagery_id=None))
    assert "4 open tiles have no imagery" in ground.open("anna")["nothing"]["reason"]


def test_holes_in_the_imagery_are_not_handed_out_and_said_so(ground: Ground) -> None:
    tiles = list(ground.features)
    with ground.database.write() as connection:
        connection.execute(update(Tile).values(pixel_share=0.0))
        connection.execute(update(Tile).where(Tile.quadkey == parse_tile(tiles[2]).quadkey).values(pixel_share=0.4))
    assert ground.open("anna")["deck"]["tile"]["address"] == tiles[2]
    finish(ground, "anna", tiles[2])
    assert "3 open tiles have no pixels: import imagery" in ground.open("anna")["nothing"]["reason"]


def test_a_finished_tile_with_a_new_prediction_is_offered_after_the_open_ones(ground: Ground) -> None:
    tiles = list(ground.features)
    finish(ground, "anna", tiles[0])
    with ground.database.write() as connection:
        connection.execute(
            update(Feature).where(Feature.id == ground.features[tiles[0]][0]).values(verdict=None, decision_id=None)
        )
    assert ground.deck("bob")["tile"]["address"] == tiles[1]
    deck = ground.deck("bob", holding=tiles[1:])
    assert (deck["tile"]["address"], deck["tile"]["drawnBy"]) == (tiles[0], "second_look")
