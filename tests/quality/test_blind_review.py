"""A spot check through the review server: blind, apart from the annotator's work, and counted when it is finished."""

from typing import Any

import orjson
import pytest

from db.engine import Database
from maploop.quality.agreement import results_of
from maploop.quality.samples import load_sample, next_audit
from maploop.quality.sampling import SampleWish, draw_sample
from tests.review.ground import FIRST, Ground, act, decision, geojson, lay_ground, square

TILE = str(FIRST)


@pytest.fixture
def ground(database: Database) -> Ground:
    """One tile with four predicted buildings, which anna has finished: two kept, one of them moved; one drawn."""
    ground = lay_ground(database, tiles=1)
    first, second, third, fourth = ground.features[TILE]
    ground.deck("anna", tile=TILE)
    moved = geojson(square(FIRST, 1, shift=0.01))
    answer = ground.send(
        "anna",
        decision(TILE, first, "accept"),
        decision(TILE, second, "correct", geometry=moved),
        decision(TILE, third, "reject"),
        decision(TILE, fourth, "reject"),
        decision(TILE, None, "add", geometry=geojson(square(FIRST, 50))),
        act(TILE, "complete"),
    )
    assert answer["refused"] == []
    return ground


def test_the_reviewer_sees_what_the_model_said_and_nothing_of_the_annotator(ground: Ground) -> None:
    sample = draw_sample(ground.database, ground.project, ground.people["bob"], SampleWish(size=1))
    deck = ground.deck("bob", audit=sample.id)
    assert {each["id"] for each in deck["features"]} == set(ground.features[TILE])
    for each in deck["features"]:
        assert (each["verdict"], each["decidedBy"], each["standing"], each["reason"]) == (None, None, None, None)
        assert each["geometry"] == each["predicted"]["geometry"]
    assert b"anna" not in orjson.dumps(deck)


def test_a_blind_review_is_held_against_the_annotators_work(ground: Ground) -> None:
    sample = draw_sample(ground.database, ground.project, ground.people["bob"], SampleWish(size=1))
    audit: dict[str, Any] = {"audit": ground.deck("bob", audit=sample.id)["audit"]["id"]}
    first, second, third, fourth = ground.features[TILE]
    unfinished = ground.send("bob", decision(TILE, first, "accept", **audit), act(TILE, "complete", **audit))
    assert [each["code"] for each in unfinished["refused"]] == ["invalid"]
    assert "3 undecided" in unfinished["refused"][0]["message"]
    wrong = decision(TILE, third, "reject", **audit)
    answer = ground.send(
        "bob",
        decision(TILE, second, "accept", **audit),
        wrong,
        decision(TILE, third, "undo", undoes=wrong["id"], standing=wrong["id"], **audit),
        decision(TILE, third, "accept", **audit),
        decision(TILE, fourth, "reject", **audit),
        decision(TILE, None, "add", geometry=geojson(square(FIRST, 70)), **audit),
        act(TILE, "complete", **audit),
    )
    assert answer["refused"] == []
    with ground.database.read() as connection:
        assert next_audit(connection, sample.id, ground.people["bob"]) is None
        done = load_sample(connection, ground.project, sample.id)
        results = results_of(connection, ground.project)
    assert (done.finished, done.is_open) == (1, False)
    (compared,) = results.audits
    assert [each.finding for each in compared.features] == [
        "agreed",
        "agreed",
        "wrongly_rejected",
        "agreed",
        "missed",
        "only_annotator",
    ]
    # Moved by a sixth of its width: IoU 5/7; the other that both keep is the same.
    assert results.overall.overlap.value == pytest.approx((1 + 5 / 7) / 2)
    mine = {each["id"]: each["verdict"] for each in ground.deck("anna", tile=TILE)["features"]}
    assert [mine[each] for each in ground.features[TILE]] == ["accept", "correct", "reject", "reject"]
    assert len(mine) == 5


def test_the_last_act_of_a_spot_check_may_arrive_twice_and_nothing_after_it(ground: Ground) -> None:
    sample = draw_sample(ground.database, ground.project, ground.people["bob"], SampleWish(size=1))
    audit: dict[str, Any] = {"audit": ground.deck("bob", audit=sample.id)["audit"]["id"]}
    decisions = [decision(TILE, each, "accept", **audit) for each in ground.features[TILE]]
    done = act(TILE, "complete", **audit)
    assert ground.send("bob", *decisions, done)["refused"] == []
    assert ground.send("bob", decisions[0], done)["refused"] == []
    late = ground.send("bob", decision(TILE, None, "add", geometry=geojson(square(FIRST, 70)), **audit))
    assert "is finished" in late["refused"][0]["message"]
