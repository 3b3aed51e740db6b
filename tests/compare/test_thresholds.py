"""Accepting above a score: a recorded act, with limits, that can be taken back."""

import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, update

from db.models import Decision, Feature, ThresholdHeld, Tile, TileEvent, TileFeature
from db.types import utc_now
from maploop.cli import run
from maploop.compare.thresholds import (
    RuleView,
    apply_rule,
    judged_predictions,
    list_rules,
    proposals,
    withdraw_rule,
)
from maploop.database import Database
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.review.outbox import store_outbox
from maploop.review.progress import progress_of
from tests.builders import PlacedTile, a_claim, a_decision, a_person, a_prediction, a_project, a_tile
from tests.review.finished import finished_with_something_open

JUDGED, SURE, UNSURE, UNDECIDED = 16, 3, 1, 8  # tiles with verdicts; on each so many; predictions on others


class Street:
    """Reviewed tiles on which a high score was always right and a low one half the time; and tiles of all kinds."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as connection:
            self.project = a_project(connection, block_zoom_offset=0)
            self.anna, self.ben = a_person(connection, "anna"), a_person(connection, "ben")
            done: dict[str, Any] = {"status": "complete", "finished_by": self.anna}
            for column in range(JUDGED):
                tile = a_tile(connection, self.project, column, 1, **done)
                for place in range(SURE + UNSURE):
                    sure = place < SURE
                    feature = a_prediction(connection, self.project, tile, place, score=0.9 if sure else 0.5)
                    verdict = "accept" if sure or column % 2 else "reject"
                    a_decision(connection, self.project, tile, feature.feature_id, verdict, self.anna)
            self.open = a_tile(connection, self.project, 0)
            self.test = a_tile(connection, self.project, 1, split="test")
            self.held = a_tile(connection, self.project, 2)
            self.finished = a_tile(connection, self.project, 3, **done)
            a_claim(connection, self.held, self.ben)
            for tile in (self.open, self.test, self.held, self.finished):
                for place in range(UNDECIDED):
                    a_prediction(connection, self.project, tile, place, score=0.95)
                a_prediction(connection, self.project, tile, 90, score=0.6)

    def apply(self, wanted: float = 0.8, **told: Any) -> RuleView:
        with self.database.write() as connection:
            return apply_rule(connection, self.project, self.anna, "first", "building", wanted, **told)

    def withdraw(self, rule: int) -> int:
        with self.database.write() as connection:
            return withdraw_rule(connection, self.project, self.ben, rule)

    def rule(self) -> RuleView:
        with self.database.read() as connection:
            return list_rules(connection, self.project)[0]

    def verdicts(self, tile: PlacedTile) -> dict[str | None, int]:
        """Of the features whose prediction is on the tile."""
        with self.database.read() as connection:
            rows = connection.execute(select(Feature.geometry, Feature.verdict)).all()
        counts: dict[str | None, int] = {}
        for geometry, verdict in rows:
            if geometry.within(tile.address.polygon):
                counts[verdict] = counts.get(verdict, 0) + 1
        return counts

    def held_features(self) -> list[int]:
        with self.database.read() as connection:
            return list(connection.execute(select(ThresholdHeld.feature_id)).scalars())

    def decide(self, feature: int, verdict: str) -> None:
        with self.database.write() as connection:
            a_decision(connection, self.project, self.open, feature, verdict, self.anna)


@pytest.fixture
def street(database: Database) -> Street:
    return Street(database)


def test_a_proposal_tells_the_score_and_what_it_would_do(street: Street) -> None:
    with street.database.read() as connection:
        building, road, _ = proposals(connection, street.project, "first", 0.8)
    assert building.threshold.score == 0.55
    assert building.threshold.precision.scored == 48
    assert building.reach is not None
    assert (building.reach.accepted, building.reach.held) == (8, 1)
    assert building.reach.left == {"claimed": 9, "finished": 9, "test": 9}
    assert building.reach.seconds_saved == pytest.approx(8 * 2.0)
    assert (road.threshold.score, road.reach) == (None, None)


def test_applying_accepts_on_open_tiles_only_and_keeps_a_share_back(street: Street) -> None:
    rule = street.apply()
    assert (rule.accepted, rule.standing, rule.held, rule.applied_by) == (8, 8, 1, "anna")
    assert (rule.score, rule.lower > 0.8, rule.withdrawn_at) == (0.55, True, None)
    assert street.verdicts(street.open) == {"accept": 8, None: 1}
    for tile in (street.test, street.held, street.finished):
        assert street.verdicts(tile) == {None: 9}
    with street.database.read() as connection:
        made = connection.execute(select(Decision.annotator_id, Decision.verdict, Decision.seconds).where(
            Decision.rule_id == rule.id
        )).all()  # fmt: skip
        status = connection.execute(select(Tile.status).where(Tile.id == street.open.id)).scalar_one()
        hour = progress_of(connection, street.project.id, street.anna)["hour"]
    assert set(made) == {(street.anna, "accept", 0.0)}
    assert hour["features"] == JUDGED * (SURE + UNSURE)  # what a rule accepts is not what a person did
    assert status == "open"  # nobody has said that nothing is missing


def test_a_feature_that_reaches_onto_a_test_tile_is_left_alone(street: Street) -> None:
    with street.database.write() as connection:
        across = a_prediction(connection, street.project, street.open, 99, score=0.99)
        connection.execute(insert(TileFeature).values(tile_id=street.test.id, feature_id=across.feature_id))
    street.apply()
    with street.database.read() as connection:
        verdict = connection.execute(select(Feature.verdict).where(Feature.id == across.feature_id)).scalar_one()
    assert verdict is None


def test_what_a_rule_decided_is_no_evidence_for_the_next(street: Street) -> None:
    with street.database.read() as connection:
        before = len(judged_predictions(connection, street.project, "first"))
    street.apply()
    with street.database.read() as connection:
        assert len(judged_predictions(connection, street.project, "first")) == before == 64


def test_verdicts_on_test_tiles_are_no_evidence(street: Street) -> None:
    with street.database.write() as connection:
        connection.execute(update(Tile).where(Tile.status == "complete").values(split="test"))
    with pytest.raises(ConflictError, match="by 0 verdicts: review more"):
        street.apply()


def test_taking_a_rule_back_undoes_what_still_stands(street: Street) -> None:
    rule = street.apply()
    with street.database.read() as connection:
        accepted = list(connection.execute(select(Decision.feature_id).where(Decision.rule_id == rule.id)).scalars())
    street.decide(accepted[0], "accept")  # by somebody who looked
    assert street.rule().standing == 7
    assert street.withdraw(rule.id) == 7
    assert street.verdicts(street.open) == {None: 8, "accept": 1}
    taken = street.rule()
    assert (taken.standing, taken.withdrawn_by, taken.accepted) == (0, "ben", 8)
    with street.database.read() as connection:
        undone = connection.execute(
            select(Decision.undoes, Decision.previous_id).where(Decision.rule_id == rule.id, Decision.verdict == "undo")
        ).all()
        decisions = connection.execute(select(Feature.decision_id).where(Feature.id == accepted[1])).scalar_one()
    assert (len(undone), {each.previous_id for each in undone}, decisions) == (7, {None}, None)
    with pytest.raises(ConflictError, match="was taken back before, by ben"):
        street.withdraw(rule.id)
    assert street.apply().accepted == 7  # one was decided, so one less is free


def test_a_tile_finished_with_a_rules_features_is_open_again_without_them(street: Street) -> None:
    rule = street.apply()
    with street.database.write() as connection:
        connection.execute(
            update(Tile).where(Tile.id == street.open.id).values(status="complete", finished_by=street.anna)
        )
    street.withdraw(rule.id)
    with street.database.read() as connection:
        assert connection.execute(select(Tile.status).where(Tile.id == street.open.id)).scalar_one() == "open"
        acts = connection.execute(select(TileEvent.act).where(TileEvent.tile_id == street.open.id)).scalars()
        assert list(acts) == ["reopen"]
    left_open = finished_with_something_open(street.database)
    assert street.open.address.x not in {each.x for each in left_open}


def test_the_person_may_undo_one_of_them_in_the_review_map(street: Street) -> None:
    rule = street.apply()
    with street.database.write() as connection:
        row = connection.execute(
            select(Decision.id, Decision.feature_id).where(Decision.rule_id == rule.id).limit(1)
        ).one()
        a_claim(connection, street.open, street.anna)
        entry = {
            "type": "decision", "id": str(uuid4()), "tile": str(street.open), "feature": row.feature_id,
            "verdict": "undo", "reason": None, "class": "building", "geometry": None, "standing": row.id,
            "undoes": row.id, "seconds": 1.0, "madeAt": utc_now().isoformat(), "audit": None,
        }  # fmt: skip
        answer = store_outbox(connection, street.project, street.anna, [entry])
    assert (len(answer["stored"]), answer["refused"]) == (1, [])
    assert street.rule().standing == rule.accepted - 1


def test_drift_shows_in_the_share_that_people_looked_at(street: Street) -> None:
    rule = street.apply(held_share=0.5)
    assert rule.held == 5
    assert rule.drift.text == "Nobody has looked at the share that was kept back yet."
    held = street.held_features()
    street.decide(held[0], "accept")
    street.decide(held[1], "reject")
    drift = street.rule().drift
    assert (drift.looked_at.value, drift.looked_at.scored, drift.waiting, drift.drifted) == (0.5, 2, 3, False)
    assert drift.text.endswith("That is below, though it may be chance.")
    for feature in held[2:]:
        street.decide(feature, "reject")
    drift = street.rule().drift
    assert (drift.waiting, drift.drifted) == (0, True)
    assert drift.text.endswith("The rule does not hold any more: take it back.")


def test_nothing_is_applied_without_ground_for_it(street: Street) -> None:
    with pytest.raises(ConflictError, match=r"No score of 'first' is sure to be 99\.9 % right for building"):
        street.apply(0.999)
    with pytest.raises(InputError, match="0 is not a share to look at"):
        street.apply(held_share=0.0)
    with pytest.raises(InputError, match="'shed' is not a class"), street.database.write() as connection:
        apply_rule(connection, street.project, street.anna, "first", "shed")
    with pytest.raises(NotFoundError, match="There is no rule 99"):
        street.withdraw(99)
    street.apply()
    with pytest.raises(ConflictError, match=r"No building from score 0\.55 on may be accepted unseen now"):
        street.apply(held_share=0.5)
    with street.database.read() as connection:
        assert connection.execute(select(func.count()).where(Decision.rule_id.is_not(None))).scalar_one() == 8


def test_the_commands_show_apply_list_and_withdraw(
    street: Street, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(*arguments: str) -> Any:
        assert run(["threshold", *arguments, "--json", "--db", database_url]) == 0
        return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)

    shown = answer("show", "Town", "--model", "first", "--precision", "0.8")["classes"]["building"]
    assert (shown["score"], shown["accepted"], shown["held"]) == (0.55, 8, 1)
    (rule,) = answer("apply", "Town", "--model", "first", "--class", "building", "--precision", "0.8")["rules"]
    assert rule["accepted"] == 8
    assert answer("withdraw", "Town", "--rule", str(rule["rule"])) == {"rule": rule["rule"], "undone": 8}
    assert answer("list", "Town")["rules"][0]["standing"] == 0
    assert run(["threshold", "show", "Town", "--model", "first", "--precision", "0.8", "--db", database_url]) == 0
    assert "building: from 0.55 on, 100.0 %" in capsys.readouterr().out
    assert run(["threshold", "withdraw", "Town", "--rule", "77", "--db", database_url]) == 2
    assert capsys.readouterr().err == "There is no rule 77 in 'Town': maploop threshold list shows them.\n"
