"""When a comparison has to be made again: whatever may change it changes its stamp, and nothing else does."""

import pytest
from sqlalchemy import select

from db.models import Feature
from maploop.database import Database
from maploop.project import change_settings
from maploop.report.freshness import Stamp, stamp_of
from tests.builders import a_decision, a_prediction, a_tile, a_tile_event
from tests.compare.ground import Town


@pytest.fixture
def town(database: Database) -> Town:
    """Two models on twelve finished test tiles, in a database of either kind."""
    return Town(database)


def stamp(town: Town) -> Stamp:
    """Of both models on the test split."""
    with town.database.read() as connection:
        return stamp_of(connection, town.project, ("base", "tuned"))


def test_work_elsewhere_leaves_the_stamp_as_it_is(town: Town) -> None:
    before = stamp(town)
    with town.database.write() as connection:
        tile = a_tile(connection, town.project, 40, split="train", status="complete", finished_by=town.anna)
        roof = a_prediction(connection, town.project, tile, model="third")
        a_decision(connection, town.project, tile, roof.feature_id, "accept", town.anna)
        a_tile_event(connection, tile, "complete", town.anna)
    assert stamp(town) == before


@pytest.mark.parametrize("what", ["decision", "event", "run", "pixels", "rule"])
def test_what_may_change_the_outcome_changes_the_stamp(town: Town, what: str) -> None:
    before = stamp(town)
    with town.database.write() as connection:
        tile = town.tests[0]
        if what == "decision":
            feature = connection.execute(select(Feature.id).order_by(Feature.id)).scalars().first()
            a_decision(connection, town.project, tile, feature, "reject", town.anna)
        elif what == "event":
            a_tile_event(connection, tile, "return", town.anna)
        elif what == "run":
            connection.exec_driver_sql("UPDATE run SET seconds = seconds + 1")
        elif what == "pixels":
            connection.exec_driver_sql(f"UPDATE tile SET pixel_share = 0.5 WHERE id = {tile.id}")
        else:
            town.project = change_settings(connection, town.project, iou_threshold=0.6)
    assert stamp(town) != before
