"""Returning and approving: on record, once, never one's own work, never with a doubt left."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Connection, select, update

from db.models import Audit, Tile, TileEvent, TileFeature
from db.types import utc_now
from maploop.errors import AccessError, ConflictError, InputError, NotFoundError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.quality.acceptance import (
    approve_all_own,
    approve_annotator,
    approve_sample,
    approve_tile,
    complete_when_alone,
    is_alone,
    return_tile,
)
from maploop.quality.audits import finish_audit
from maploop.quality.samples import audits_of
from maploop.quality.sampling import SampleWish, draw_sample
from maploop.review.queue import draw_next
from tests.builders import PlacedTile, a_decision, a_prediction, a_sample, a_tile, a_tile_event
from tests.quality.conftest import Town


def statuses(connection: Connection) -> list[str]:
    """The status of every tile, oldest first."""
    return list(connection.execute(select(Tile.status).order_by(Tile.id)).scalars())


def acts(connection: Connection) -> list[str]:
    """What was said about whole tiles, oldest first."""
    return list(connection.execute(select(TileEvent.act).order_by(TileEvent.seq)).scalars())


def test_a_returned_tile_comes_first_for_whoever_finished_it(town: Town) -> None:
    with town.database.write() as connection:
        a_tile(connection, town.project, 5, uncertainty=1.0)
        tile, _ = town.finished_tile(connection, 0, town.anna)
        return_tile(connection, town.project, tile.address, town.rita, "  The shed in the yard is missing. ")
        row = connection.execute(select(Tile.status, Tile.comment).where(Tile.id == tile.id)).one()
        assert tuple(row) == ("returned", "The shed in the yard is missing.")
        drawn = draw_next(connection, town.project, town.anna)
        assert drawn is not None
        assert (drawn.tile_id, drawn.drawn_by) == (tile.id, "returned")


def test_returning_twice_is_on_record_once(town: Town) -> None:
    with town.database.write() as connection:
        tile, _ = town.finished_tile(connection, 0, town.anna)
        event = str(uuid4())
        return_tile(connection, town.project, tile.address, town.rita, "Look again", event_id=event)
        return_tile(connection, town.project, tile.address, town.rita, "Look once more", event_id=event)
        return_tile(connection, town.project, tile.address, town.rita, "Look again")
        assert acts(connection) == ["return"]
        return_tile(connection, town.project, tile.address, town.rita, "And the road")
        assert acts(connection) == ["return", "return"]


def test_what_cannot_be_returned_is_named(town: Town) -> None:
    with town.database.write() as connection:
        tile = a_tile(connection, town.project, 0)
        with pytest.raises(ConflictError, match=f"Tile {tile} is open"):
            return_tile(connection, town.project, tile.address, town.rita, "Why?")
        with pytest.raises(InputError, match="0 characters"):
            return_tile(connection, town.project, tile.address, town.rita, "  ")
        with pytest.raises(InputError, match="2001 characters"):
            return_tile(connection, town.project, tile.address, town.rita, "x" * 2001)
        with pytest.raises(NotFoundError, match="19/1/1 is not a tile of 'Town'"):
            return_tile(connection, town.project, TileAddress(19, 1, 1), town.rita, "Why?")
        assert acts(connection) == []


def test_an_approved_tile_is_on_record_once(town: Town) -> None:
    with town.database.write() as connection:
        tile, _ = town.finished_tile(connection, 0, town.anna)
        approve_tile(connection, town.project, tile.address, town.rita)
        approve_tile(connection, town.project, tile.address, town.rita)
        assert statuses(connection) == ["approved"]
        assert acts(connection) == ["approve"]


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [("as", "1 of its features is unsure or undecided"), ("..", "2 of its features are unsure or undecided")],
)
def test_a_tile_with_a_doubt_is_not_approved(town: Town, verdicts: str, reason: str) -> None:
    with town.database.write() as connection:
        tile, _ = town.finished_tile(connection, 0, town.anna, verdicts)
        with pytest.raises(ConflictError, match=f"Tile {tile} cannot be approved: {reason}"):
            approve_tile(connection, town.project, tile.address, town.rita)
        assert statuses(connection) == ["complete"]


def test_own_work_is_approved_only_by_somebody_who_works_alone(town: Town) -> None:
    with town.database.write() as connection:
        tile, _ = town.finished_tile(connection, 0, town.anna)
        town.finished_tile(connection, 1, town.anna, "a.")
        assert is_alone(connection, town.project, town.anna)
        assert not is_alone(connection, town.project, town.rita)
        with pytest.raises(AccessError, match="Others work on this project"):
            approve_all_own(connection, town.project, town.rita)
        assert complete_when_alone(connection, town.project, town.rita) == 0
        assert complete_when_alone(connection, town.project, town.anna) == 2
        approval = approve_all_own(connection, town.project, town.anna)
        assert approval.approved == 1
        assert [each.reason for each in approval.refused] == ["1 of its features is unsure or undecided"]

        other, _ = town.finished_tile(connection, 2, town.anna)
        town.finished_tile(connection, 3, town.ben)
        assert not is_alone(connection, town.project, town.anna)
        with pytest.raises(ConflictError, match="your own work"):
            approve_tile(connection, town.project, other.address, town.anna)
        approve_tile(connection, town.project, tile.address, town.anna)  # approved before: nothing changes
        assert statuses(connection) == ["approved", "complete", "complete", "complete"]


def test_approving_a_sample_leaves_out_what_was_returned_or_not_looked_at(town: Town) -> None:
    with town.database.write() as connection:
        tiles = [town.finished_tile(connection, column, town.anna, "a") for column in range(3)]
        sample, audits = a_sample(connection, town.project, town.rita, {tile: town.anna for tile, _ in tiles})
        for (tile, features), audit in list(zip(tiles, audits, strict=True))[:2]:
            town.decide(connection, tile, features, "a", town.rita, audit)
            finish_audit(connection, audit)
        return_tile(connection, town.project, tiles[0][0].address, town.rita, "Look again", audit_id=audits[0])
        with pytest.raises(AccessError, match="rita's"):
            approve_sample(connection, town.project, sample, town.ben)
        assert approve_sample(connection, town.project, sample, town.rita).approved == 1
        assert approve_sample(connection, town.project, sample, town.rita).approved == 0
        assert statuses(connection) == ["returned", "approved", "complete"]
        outcomes = connection.execute(select(Audit.outcome).order_by(Audit.id)).scalars()
        assert list(outcomes) == ["return", "approve", None]
        events = connection.execute(select(TileEvent.act, TileEvent.audit_id).order_by(TileEvent.seq)).all()
        assert [tuple(each) for each in events] == [("return", audits[0]), ("approve", audits[1])]


def test_an_annotators_tiles_are_approved_when_all_of_their_audits_are_finished(town: Town) -> None:
    with town.database.write() as connection:
        for column in range(6):
            town.finished_tile(connection, column, town.anna, "a" if column else "s")
        town.finished_tile(connection, 6, town.ben, "a")
    sample = draw_sample(town.database, town.project, town.rita, SampleWish(size=3, by_class=False))
    with town.database.write() as connection:
        late, _ = town.finished_tile(connection, 7, town.anna, "a")
        a_tile_event(connection, late, "complete", town.anna)
        with pytest.raises(ConflictError, match="has 2 of 2 tiles of anna left"):
            approve_annotator(connection, town.project, sample.id, town.anna, town.rita)
        with pytest.raises(ConflictError, match="has no tile of rita"):
            approve_annotator(connection, town.project, sample.id, town.rita, town.rita)
        for each in audits_of(connection, sample.id):
            place = PlacedTile(each.tile_id, each.address)
            town.decide(connection, place, _features(connection, each.tile_id), "a", town.rita, each.id)
            finish_audit(connection, each.id)
        approval = approve_annotator(connection, town.project, sample.id, town.anna, town.rita)
        assert approval.approved == 5
        assert len(approval.refused) == 1
        after = dict(connection.execute(select(Tile.id, Tile.status)).all())
        assert after[late.id] == "complete"
        assert sorted(after.values()) == ["approved"] * 5 + ["complete"] * 3


def test_a_tile_finished_after_the_sample_is_not_approved_by_it_when_the_clock_jumped_back(
    town: Town,
) -> None:
    with town.database.write() as connection:
        tile, features = town.finished_tile(connection, 0, town.anna)
        a_tile_event(connection, tile, "complete", town.anna)
        sample, (audit,) = a_sample(connection, town.project, town.rita, {tile: town.anna})
        town.decide(connection, tile, features, "aa", town.rita, audit)
        finish_audit(connection, audit)
        later, _ = town.finished_tile(connection, 1, town.anna)
        a_tile_event(connection, later, "complete", town.anna)
        connection.execute(update(Tile).values(finished_at=utc_now() - timedelta(hours=1)))
        assert approve_annotator(connection, town.project, sample, town.anna, town.rita).approved == 1
        assert statuses(connection) == ["approved", "complete"]


def _features(connection: Connection, tile_id: int) -> list[int]:
    return list(connection.execute(select(TileFeature.feature_id).where(TileFeature.tile_id == tile_id)).scalars())


def test_thousands_of_tiles_are_approved_at_once(town: Town) -> None:
    with town.database.write() as connection:
        for column in range(5100):
            a_tile(connection, town.project, column, status="complete", finished_by=town.anna)
        tile = a_tile(connection, town.project, 0, 1)
        roof = a_prediction(connection, town.project, tile)
        a_decision(connection, town.project, tile, roof.feature_id, "accept", town.anna)
        assert approve_all_own(connection, town.project, town.anna).approved == 5100
