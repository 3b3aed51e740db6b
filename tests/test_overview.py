"""Where the loop stands: counts, speed, the worth of scores, and the one next thing to do."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from db.engine import Database
from db.models import Feature, Tile
from db.types import utc_now
from maploop import overview
from maploop.overview import Overview, overview_of
from maploop.project import ProjectView
from tests.builders import (
    a_claim,
    a_decision,
    a_person,
    a_prediction,
    a_project,
    a_sample,
    a_tile,
    a_tile_event,
)


@pytest.fixture
def project(database: Database) -> ProjectView:
    """An empty project, on each database."""
    with database.write() as connection:
        return a_project(connection)


def look(database: Database, project: ProjectView, who: str = "anna") -> Overview:
    """The overview as one person sees it."""
    with database.write() as connection:
        return overview_of(connection, project, a_person(connection, who))


def test_an_empty_project_asks_for_imagery(database: Database, project: ProjectView) -> None:
    found = look(database, project)
    assert (found.total_tiles, found.finished_tiles, found.claimed, found.people) == (0, 0, 0, ())
    assert [(each.name, each.decided, each.undecided) for each in found.classes] == [
        ("building", 0, 0),
        ("road", 0, 0),
        ("well", 0, 0),
    ]
    assert (found.scores.scored, found.scores.order) == (0, None)
    assert (found.next_step.page, found.next_step.label) == ("import", "Import imagery")


def test_features_are_counted_by_class_and_verdict(database: Database, project: ProjectView) -> None:
    with database.write() as connection:
        anna, rita = a_person(connection, "anna"), a_person(connection, "rita")
        tile = a_tile(connection, project)
        for place, verdict in enumerate(("accept", "accept", "reject", "correct", "unsure", None)):
            roof = a_prediction(connection, project, tile, place)
            if verdict:
                a_decision(connection, project, tile, roof.feature_id, verdict, anna)
        a_decision(connection, project, tile, None, "add", anna, class_name="road")
        gone = a_prediction(connection, project, tile, 20)
        connection.execute(update(Feature).where(Feature.id == gone.feature_id).values(withdrawn=True))
        _, (audit,) = a_sample(connection, project, rita, {tile: anna})
        a_decision(connection, project, tile, None, "add", rita, audit=audit)
        other = a_project(connection, "Other")
        a_prediction(connection, other, a_tile(connection, other))
    buildings, roads, wells = look(database, project).classes
    assert dict(buildings.verdicts) == {"accept": 2, "reject": 1, "correct": 1, "unsure": 1}
    assert (buildings.decided, buildings.annotations, buildings.undecided) == (5, 3, 1)
    assert (roads.annotations, roads.undecided, wells.decided) == (1, 0, 0)


def test_tiles_are_counted_by_status_and_person(database: Database, project: ProjectView) -> None:
    with database.write() as connection:
        anna, ben = a_person(connection, "anna"), a_person(connection, "ben")
        held = a_tile(connection, project, 0)
        a_claim(connection, held, anna)
        a_claim(connection, a_tile(connection, project, 1), ben, expires_at=utc_now() - timedelta(minutes=1))
        a_tile(connection, project, 2, imagery_id=None)
        for column, (status, who) in enumerate(
            [("complete", anna), ("approved", anna), ("approved", ben), ("returned", ben)], start=3
        ):
            a_tile(connection, project, column, status=status, finished_by=who)
    found = look(database, project)
    assert dict(found.tiles) == {"open": 3, "returned": 1, "complete": 1, "approved": 2}
    assert (found.total_tiles, found.finished_tiles, found.claimed, found.without_imagery) == (7, 3, 1, 1)
    assert [(each.name, each.complete, each.approved, each.returned) for each in found.people] == [
        ("anna", 1, 1, 0),
        ("ben", 0, 1, 1),
    ]


def test_speed_leaves_breaks_and_imports_out(database: Database, project: ProjectView) -> None:
    start = utc_now() - timedelta(days=1)
    with database.write() as connection:
        anna, ben = a_person(connection, "anna"), a_person(connection, "ben")
        for column, minutes in enumerate((0, 2, 4, 120, 122)):
            tile = a_tile(connection, project, column, status="complete", finished_by=anna)
            at = start + timedelta(minutes=minutes)
            a_tile_event(connection, tile, "complete", anna, stored_at=at)
            for place in range(6):
                roof = a_prediction(connection, project, tile, place)
                a_decision(connection, project, tile, roof.feature_id, "accept", anna, stored_at=at)
        for column in range(5, 8):
            tile = a_tile(connection, project, column, status="complete", finished_by=ben)
            for who in (anna, ben):
                at = start + timedelta(minutes=1)
                a_tile_event(connection, tile, "complete", who, stored_at=at, drawn_by="import")
            roof = a_prediction(connection, project, tile)
            a_decision(connection, project, tile, roof.feature_id, "accept", ben, seconds=0.0)
    annas, bens = look(database, project).people
    assert annas.tiles_per_hour == pytest.approx(30)
    assert annas.decisions_per_hour == pytest.approx(180)
    assert (bens.complete, bens.decisions, bens.tiles_per_hour, bens.decisions_per_hour) == (3, 0, None, None)


def test_a_score_that_tells_right_from_wrong_is_worth_something(database: Database, project: ProjectView) -> None:
    with database.write() as connection:
        anna = a_person(connection, "anna")
        tile = a_tile(connection, project)
        judged = [(0.95, "accept"), (0.95, "correct"), (1.0, "accept"), (0.35, "reject"), (0.05, "reject")]
        judged += [(0.35, "unsure"), (None, "accept")]  # type: ignore[list-item]
        for place, (score, verdict) in enumerate(judged):
            roof = a_prediction(connection, project, tile, place, score=score)
            a_decision(connection, project, tile, roof.feature_id, verdict, anna)
        a_prediction(connection, project, tile, 50, score=0.5)
    scores = look(database, project).scores
    assert (scores.order, scores.scored, scores.total) == (1.0, 6, 7)
    assert [dict(each.verdicts) for each in scores.bands if each.verdicts] == [
        {"reject": 1},
        {"reject": 1, "unsure": 1},
        {"accept": 2, "correct": 1},
    ]
    assert (scores.bands[-1].low, scores.bands[-1].high) == (0.9, 1.0)


def test_equal_scores_are_worth_a_coin(database: Database, project: ProjectView) -> None:
    with database.write() as connection:
        anna = a_person(connection, "anna")
        tile = a_tile(connection, project)
        for place, verdict in enumerate(("accept", "reject", "reject")):
            roof = a_prediction(connection, project, tile, place, score=0.7)
            a_decision(connection, project, tile, roof.feature_id, verdict, anna)
    assert look(database, project).scores.order == 0.5


def test_of_very_many_decisions_every_nth_is_read(
    database: Database, project: ProjectView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "SCORED_AT_MOST", 5)
    with database.write() as connection:
        anna = a_person(connection, "anna")
        tile = a_tile(connection, project)
        for place in range(15):
            roof = a_prediction(connection, project, tile, place)
            a_decision(connection, project, tile, roof.feature_id, "accept", anna)
    scores = look(database, project).scores
    assert (scores.scored, scores.total) == (5, 15)


def test_the_next_step_walks_through_the_loop(database: Database, project: ProjectView) -> None:
    def step(who: str = "anna") -> tuple[str, str]:
        found = look(database, project, who).next_step
        return found.page, found.text.split(":")[0].split(",")[0]

    def mark(**values: object) -> None:
        with database.write() as connection:
            connection.execute(update(Tile).where(Tile.id == tile.id).values(**values))

    with database.write() as connection:
        anna, rita = a_person(connection, "anna"), a_person(connection, "rita")
        a_tile(connection, project, 1, imagery_id=None)
    assert step() == ("import", "Bring in imagery")
    with database.write() as connection:
        tile = a_tile(connection, project, 0)
    assert step() == ("import", "Bring in a model's predictions")
    with database.write() as connection:
        roof = a_prediction(connection, project, tile)
    assert step() == ("review", "Review 1 tile.")
    with database.write() as connection:
        a_decision(connection, project, tile, roof.feature_id, "accept", anna)
    mark(status="complete", finished_by=anna, finished_at=utc_now())
    assert step("anna") == ("quality", "Approve 1 tile of yours")
    assert step("rita") == ("quality", "Spot-check 1 tile.")
    with database.write() as connection:
        sample, _ = a_sample(connection, project, rita, {tile: anna})
    assert step("rita") == ("review", "Finish the spot check you have begun.")
    assert look(database, project, "rita").next_step.query == {"audit": str(sample)}
    mark(status="returned")
    assert step("anna") == ("review", "1 tile came back to you with a comment")
    assert step("rita") == ("review", "Review 1 tile.")
    mark(status="approved")
    with database.write() as connection:
        newer = a_prediction(connection, project, tile, 7, model="second")
    assert step("anna") == ("review", "A newer model found something on 1 tile finished before")
    with database.write() as connection:
        a_decision(connection, project, tile, newer.feature_id, "reject", anna)
    assert step("anna") == ("dataset", "Export 1 tile as fine-tuning examples.")
