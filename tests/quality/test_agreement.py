"""Audits held against the annotators' work: what counts as an error, as missed, and whose it is."""

import pytest
from sqlalchemy import Connection, update

from db.models import Tile
from maploop.quality.agreement import compare_audit, results_of
from maploop.quality.audits import finish_audit
from tests.builders import PlacedTile, a_decision, a_sample, feature_of, shape_on
from tests.quality.conftest import Town


def findings(town: Town, connection: Connection, audit: int) -> list[str]:
    """What was found on each feature, predicted ones first."""
    compared = compare_audit(connection, town.project, audit)
    assert compared is not None
    return [each.finding for each in compared.features]


def test_both_saying_the_same_is_agreement_and_the_rest_are_errors(town: Town) -> None:
    with town.database.write() as connection:
        tile, features = town.finished_tile(connection, 0, town.anna, "aaxx")
        audit = town.audited(connection, tile, features, "axax", town.anna)
        assert findings(town, connection, audit) == ["agreed", "wrongly_kept", "wrongly_rejected", "agreed"]
        overall = results_of(connection, town.project).overall
    assert (overall.errors.value, overall.errors.scored, overall.tiles) == (0.5, 4, 1)
    assert overall.kappa.value == pytest.approx(0)
    assert overall.missed.value == 0
    assert overall.overlap.value == 1


def test_another_class_is_an_error_of_the_class_it_should_have(town: Town) -> None:
    with town.database.write() as connection:
        tile, (feature,) = town.finished_tile(connection, 0, town.anna, "a")
        _, (audit,) = a_sample(connection, town.project, town.rita, {tile: town.anna})
        a_decision(
            connection, town.project, tile, feature, "correct", town.rita,
            class_name="well", geometry=shape_on(tile, 0, "point"), audit=audit,
        )  # fmt: skip
        finish_audit(connection, audit)
        assert findings(town, connection, audit) == ["wrong_class"]
        results = results_of(connection, town.project)
    assert [(each.class_name, each.errors.value) for each in results.by_class] == [("well", 1.0)]


def test_what_the_reviewer_draws_is_missed_unless_the_annotator_has_it(town: Town) -> None:
    with town.database.write() as connection:
        tile, features = town.finished_tile(connection, 0, town.anna, "a")
        a_decision(connection, town.project, tile, None, "add", town.anna, geometry=shape_on(tile, 5))
        a_decision(connection, town.project, tile, None, "add", town.anna, geometry=shape_on(tile, 30))
        _, (audit,) = a_sample(connection, town.project, town.rita, {tile: town.anna})
        town.decide(connection, tile, features, "a", town.rita, audit)
        for place, shift in ((5, 0.2), (20, 0.0)):
            drawn = shape_on(tile, place, shift=shift)
            a_decision(connection, town.project, tile, None, "add", town.rita, geometry=drawn, audit=audit)
        finish_audit(connection, audit)
        assert findings(town, connection, audit) == ["agreed", "agreed", "missed", "only_annotator"]
        overall = results_of(connection, town.project).overall
    assert overall.missed.value == pytest.approx(1 / 3)
    assert overall.missed.scored == 3
    assert (overall.errors.value, overall.errors.scored) == (0, 1)
    assert overall.only_annotator == 1
    # Shifted by a fifth of its width: IoU 0.8 / 1.2; the predicted one is the same twice.
    assert overall.overlap.value == pytest.approx((1 + 2 / 3) / 2, abs=1e-6)


@pytest.mark.parametrize(("class_name", "kind", "place_of_theirs"), [("road", "line", 0.01), ("well", "point", 0.5)])
def test_lines_and_points_that_lie_close_are_the_same(
    town: Town, class_name: str, kind: str, place_of_theirs: float
) -> None:
    with town.database.write() as connection:
        tile, _ = town.finished_tile(connection, 0, town.anna, "")
        for annotator, shift in ((town.anna, place_of_theirs), (town.rita, 0.0)):
            _, (audit,) = a_sample(connection, town.project, town.rita, {tile: town.anna})
            a_decision(
                connection, town.project, tile, None, "add", annotator, class_name=class_name,
                geometry=shape_on(tile, 5, kind, shift=shift), audit=audit if annotator == town.rita else None,
            )  # fmt: skip
        finish_audit(connection, audit)
        compared = compare_audit(connection, town.project, audit)
    assert compared is not None
    (only,) = compared.features
    assert only.finding == "agreed"
    assert only.overlap is not None
    assert 0.5 < only.overlap <= 1


@pytest.mark.parametrize("who_draws_anew", ["anna", "rita"])
def test_rejecting_and_drawing_anew_is_the_same_as_correcting(town: Town, who_draws_anew: str) -> None:
    with town.database.write() as connection:
        tile, (feature,) = town.finished_tile(connection, 0, town.anna, ".")
        _, (audit,) = a_sample(connection, town.project, town.rita, {tile: town.anna})
        better = shape_on(tile, 0, shift=0.6)
        for name, person, within in (("anna", town.anna, None), ("rita", town.rita, audit)):
            if name == who_draws_anew:
                a_decision(connection, town.project, tile, feature, "reject", person, audit=within)
                a_decision(connection, town.project, tile, None, "add", person, geometry=better, audit=within)
            else:
                a_decision(connection, town.project, tile, feature, "correct", person, geometry=better, audit=within)
        finish_audit(connection, audit)
        assert findings(town, connection, audit) == ["agreed"]


def test_nothing_is_told_of_an_audit_that_is_not_finished(town: Town) -> None:
    with town.database.write() as connection:
        tile, features = town.finished_tile(connection, 0, town.anna)
        _, (audit,) = a_sample(connection, town.project, town.rita, {tile: town.anna})
        town.decide(connection, tile, features, "xx", town.rita, audit)
        assert compare_audit(connection, town.project, audit) is None
        results = results_of(connection, town.project)
    assert results.audits == ()
    assert results.overall.errors.value is None
    assert results.by_annotator == results.by_class == results.by_both == ()


def test_what_is_put_right_after_the_audit_does_not_improve_it(town: Town) -> None:
    with town.database.write() as connection:
        tile, features = town.finished_tile(connection, 0, town.anna, "aa")
        audit = town.audited(connection, tile, features, "ax", town.anna)
        a_decision(connection, town.project, tile, features[1], "reject", town.anna)
        assert findings(town, connection, audit) == ["agreed", "wrongly_kept"]


def test_undone_decisions_do_not_count(town: Town) -> None:
    with town.database.write() as connection:
        tile, (feature,) = town.finished_tile(connection, 0, town.anna, "a")
        _, (audit,) = a_sample(connection, town.project, town.rita, {tile: town.anna})
        kept = a_decision(connection, town.project, tile, feature, "accept", town.rita, audit=audit)
        wrong = a_decision(connection, town.project, tile, feature, "reject", town.rita, audit=audit, previous=kept)
        a_decision(connection, town.project, tile, feature, "undo", town.rita, audit=audit, undoes=wrong, previous=kept)
        drawn = a_decision(connection, town.project, tile, None, "add", town.rita, audit=audit)
        a_decision(
            connection, town.project, tile, feature_of(connection, drawn), "undo", town.rita, audit=audit, undoes=drawn
        )
        finish_audit(connection, audit)
        assert findings(town, connection, audit) == ["agreed"]


def test_unsure_features_and_the_reviewers_own_are_not_scored(town: Town) -> None:
    with town.database.write() as connection:
        tile, features = town.finished_tile(connection, 0, town.anna, "sa..")
        a_decision(connection, town.project, tile, features[2], "accept", town.rita)
        a_decision(connection, town.project, tile, features[3], "accept", town.ben)
        audit = town.audited(connection, tile, features, "asxx", town.anna)
        assert findings(town, connection, audit) == ["wrongly_kept"]
        results = results_of(connection, town.project)
    assert (results.overall.errors.scored, results.overall.errors.total) == (1, 4)
    errors = {each.annotator: each.errors for each in results.by_annotator}
    assert errors["ben"].value == 1
    assert (errors["anna"].scored, errors["anna"].total) == (0, 2)


def test_figures_are_kept_apart_by_annotator_class_and_spot_check(town: Town) -> None:
    with town.database.write() as connection:
        annas: list[tuple[PlacedTile, list[int]]] = [
            town.finished_tile(connection, column, town.anna, "aa") for column in range(2)
        ]
        road, on_road = town.finished_tile(connection, 3, town.ben, "aa", "road")
        town.audited(connection, *annas[0], "aa", town.anna)
        town.audited(connection, *annas[1], "ax", town.anna)
        last = town.audited(connection, road, on_road, "xx", town.ben)
        results = results_of(connection, town.project)
        assert [(each.annotator, each.tiles, each.errors.value) for each in results.by_annotator] == [
            ("anna", 2, 0.25),
            ("ben", 1, 1.0),
        ]
        assert [(each.class_name, each.errors.scored) for each in results.by_class] == [("building", 4), ("road", 2)]
        assert len(results.by_both) == 4
        assert [len(each.disagreements) for each in results.audits] == [0, 1, 2]
        alone = results_of(connection, town.project, sample_id=results.audits[-1].sample_id)
        assert [each.audit_id for each in alone.audits] == [last]
        assert (alone.overall.errors.value, alone.reviewers) == (1.0, 1)


def test_a_second_reviewer_gives_alpha_a_third_opinion(town: Town) -> None:
    with town.database.write() as connection:
        tile, features = town.finished_tile(connection, 0, town.anna, "aaxx")
        town.audited(connection, tile, features, "aaxx", town.anna)
        _, (audit,) = a_sample(connection, town.project, town.ben, {tile: town.anna})
        town.decide(connection, tile, features, "aaxa", town.ben, audit)
        connection.execute(update(Tile).values(status="approved"))
        finish_audit(connection, audit)
        results = results_of(connection, town.project)
    assert results.reviewers == 2
    assert (results.alpha.scored, results.alpha.total) == (4, 4)
    # 12 opinions, 7 of them "building"; of the fourth feature 4 ordered pairs differ: 1 - (4 / 2) * 11 / (2 * 7 * 5).
    assert results.alpha.value == pytest.approx(1 - 2 * 11 / 70)
