"""Drawing a spot check: seeded, spread over strata, never one's own work, never twice at a time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError
from sqlalchemy import update

from db.models import Tile
from db.types import utc_now
from maploop.errors import AccessError, ConflictError, InputError, NotFoundError
from maploop.quality.audits import close_sample, finish_audit
from maploop.quality.samples import audits_of, list_samples, load_sample, next_audit
from maploop.quality.sampling import SampleWish, allocate, draw_sample, plan_sample
from tests.builders import PlacedTile, a_decision, a_prediction, a_project, a_tile, a_tile_event
from tests.quality.conftest import Town


@given(some.lists(some.integers(0, 400), max_size=12), some.integers(1, 600))
def test_every_stratum_gets_its_share_and_at_least_one(populations: list[int], size: int) -> None:
    shares = allocate(populations, size)
    strata = sum(each > 0 for each in populations)
    assert sum(shares) == min(sum(populations), max(size, strata))
    for share, population in zip(shares, populations, strict=True):
        assert (population > 0) <= share <= population
        if share > 1:
            assert share <= sum(shares) * population / sum(populations) + 1


def test_shares_are_proportional() -> None:
    assert allocate([60, 30, 10], 10) == [6, 3, 1]
    assert allocate([97, 2, 1], 10) == [8, 1, 1]


def test_a_sample_covers_annotators_and_classes(town: Town) -> None:
    with town.database.write() as connection:
        for column in range(12):
            town.finished_tile(connection, column, town.anna)
        for column in range(12, 16):
            tile, _ = town.finished_tile(connection, column, town.ben)
        a_prediction(connection, town.project, tile, 50, class_name="road")
    sample = draw_sample(town.database, town.project, town.rita, SampleWish(size=4))
    with town.database.read() as connection:
        strata = [each.stratum for each in audits_of(connection, sample.id)]
    assert sorted(set(strata)) == ["anna · building", "ben · building", "ben · road"]
    assert (sample.total, sample.finished, sample.is_open) == (4, 0, True)
    assert sample.criteria["strata"][0] == {"annotator": "anna", "class": "building", "population": 12, "size": 2}


def test_the_same_seed_draws_the_same_tiles_again(town: Town) -> None:
    with town.database.write() as connection:
        for column in range(20):
            town.finished_tile(connection, column, town.anna, "a")

    def drawn(seed: str) -> tuple[list[str], str]:
        sample = draw_sample(town.database, town.project, town.rita, SampleWish(size=5), seed=seed)
        with town.database.write() as connection:
            close_sample(connection, town.project.id, sample.id)
            again = load_sample(connection, town.project, sample.id)
            return [str(each.address) for each in audits_of(connection, sample.id)], again.criteria["tiles_sha256"]

    first = drawn("one")
    assert drawn("one") == first
    assert drawn("two")[0] != first[0]
    assert drawn("two")[1] == first[1]


def test_nobody_is_given_own_work_to_check(town: Town) -> None:
    with town.database.write() as connection:
        town.finished_tile(connection, 0, town.rita)
        helped, features = town.finished_tile(connection, 1, town.anna)
        a_decision(connection, town.project, helped, features[0], "reject", town.rita)
        other, _ = town.finished_tile(connection, 2, town.anna)
        plan = plan_sample(connection, town.project, town.rita, SampleWish(size=9))
    assert (plan.tiles, plan.own, plan.size) == (1, 2, 1)
    sample = draw_sample(town.database, town.project, town.rita, SampleWish(size=9))
    with town.database.read() as connection:
        assert [each.tile_id for each in audits_of(connection, sample.id)] == [other.id]


def test_a_tile_in_an_open_spot_check_is_not_drawn_again_nor_one_seen_since_whatever_the_clock_says(
    town: Town,
) -> None:
    with town.database.write() as connection:
        tile, features = town.finished_tile(connection, 0, town.anna)
    first = draw_sample(town.database, town.project, town.rita, SampleWish(size=1))
    for reviewer in (town.rita, town.ben):
        with pytest.raises(ConflictError, match="1 finished tile is in a spot check already"):
            draw_sample(town.database, town.project, reviewer, SampleWish(size=1))
    with town.database.write() as connection:
        (audit,) = audits_of(connection, first.id)
        town.decide(connection, tile, features, "aa", town.rita, audit.id)
        finish_audit(connection, audit.id)
    with pytest.raises(ConflictError):  # rita has seen it; ben has not
        draw_sample(town.database, town.project, town.rita, SampleWish(size=1))
    assert draw_sample(town.database, town.project, town.ben, SampleWish(size=1)).total == 1
    with town.database.write() as connection:
        connection.execute(update(Tile).values(finished_at=utc_now() - timedelta(hours=1)))  # the clock was set back
        a_tile_event(connection, tile, "complete", town.anna)
        assert plan_sample(connection, town.project, town.rita, SampleWish(size=1)).in_audit == 1  # ben's
        close_sample(connection, town.project.id, list_samples(connection, town.project)[0].id)
        assert plan_sample(connection, town.project, town.rita, SampleWish(size=1)).tiles == 1


def test_open_tiles_and_other_projects_are_left_alone(town: Town) -> None:
    with town.database.write() as connection:
        a_tile(connection, town.project, 0)
        a_tile(connection, town.project, 1, status="returned", finished_by=town.anna)
        approved = a_tile(connection, town.project, 2, status="approved", finished_by=town.anna)
        other = a_project(connection, "Other")
        a_tile(connection, other, 3, status="complete", finished_by=town.anna)
    with pytest.raises(ConflictError, match="No tile is finished yet"):
        draw_sample(town.database, town.project, town.rita, SampleWish(size=3))
    sample = draw_sample(town.database, town.project, town.rita, SampleWish(size=3, statuses=("complete", "approved")))
    with town.database.read() as connection:
        assert [(each.tile_id, each.stratum) for each in audits_of(connection, sample.id)] == [
            (approved.id, "anna · no features")
        ]


def test_a_margin_gives_a_size_and_a_size_gives_a_margin(town: Town) -> None:
    with town.database.write() as connection:
        for column in range(40):
            town.finished_tile(connection, column, town.anna, "aaaaa")
        wanted = plan_sample(connection, town.project, town.rita, SampleWish(margin=0.08, expected_rate=0.1))
        # 200 features: 43 would do drawn one by one, in tiles of five 1.2 times as many, 11 tiles; one more as their
        # spread is to be measured, by Student's t.
        assert (wanted.tiles, wanted.features, wanted.size) == (40, 200, 12)
        assert wanted.margin == pytest.approx(0.08, abs=0.005)
        more = plan_sample(connection, town.project, town.rita, SampleWish(size=40))
        assert more.margin == pytest.approx(0, abs=0.02)


def test_a_wish_without_a_status_is_refused(town: Town) -> None:
    with pytest.raises(InputError, match="No status is chosen"):
        draw_sample(town.database, town.project, town.rita, SampleWish(statuses=()))
    with pytest.raises(ValidationError):
        SampleWish(size=0)


def test_the_next_audit_is_one_begun_then_the_first_that_is_still_finished(town: Town) -> None:
    with town.database.write() as connection:
        for column in range(3):
            town.finished_tile(connection, column, town.anna, "a")
    sample = draw_sample(town.database, town.project, town.rita, SampleWish(size=3))
    with town.database.write() as connection:
        audits = audits_of(connection, sample.id)
        assert next_audit(connection, sample.id, town.rita) == (audits[0].id, audits[0].address)

        place = PlacedTile(audits[2].tile_id, audits[2].address)
        a_decision(connection, town.project, place, None, "add", town.rita, audit=audits[2].id)
        assert next_audit(connection, sample.id, town.rita) == (audits[2].id, audits[2].address)
        connection.execute(update(Tile).where(Tile.id == audits[2].tile_id).values(status="returned"))
        assert next_audit(connection, sample.id, town.rita) == (audits[0].id, audits[0].address)

        connection.execute(update(Tile).where(Tile.id == audits[0].tile_id).values(status="open"))
        assert next_audit(connection, sample.id, town.rita) == (audits[1].id, audits[1].address)
        connection.execute(update(Tile).where(Tile.id == audits[1].tile_id).values(finished_by=town.rita))
        assert next_audit(connection, sample.id, town.rita) is None
        connection.execute(update(Tile).where(Tile.id == audits[0].tile_id).values(status="complete"))

        with pytest.raises(AccessError, match="somebody else's"):
            next_audit(connection, sample.id, town.ben)
        with pytest.raises(NotFoundError, match="no spot check 99"):
            next_audit(connection, 99, town.rita)
        close_sample(connection, town.project.id, sample.id)
        assert next_audit(connection, sample.id, town.rita) is None


def test_two_reviewers_at_once_never_draw_the_same_tile(town: Town) -> None:
    with town.database.write() as connection:
        for column in range(10):
            town.finished_tile(connection, column, town.anna, "a")
    wish = SampleWish(size=5)
    with ThreadPoolExecutor(2) as pool:
        draws = [pool.submit(draw_sample, town.database, town.project, each, wish) for each in (town.rita, town.ben)]
        samples = [each.result() for each in draws]
    with town.database.read() as connection:
        tiles = [each.tile_id for sample in samples for each in audits_of(connection, sample.id)]
    assert len(tiles) == len(set(tiles)) == 10
