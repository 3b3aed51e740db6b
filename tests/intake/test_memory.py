"""What was rejected, confirmed or left open before, when predictions of newer models come in over it."""

from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from db.models import Decision, Prediction
from maploop.database import Database
from maploop.predict.file import import_predictions
from maploop.project import ProjectView, annotator_id
from maploop.review import claims
from tests.builders import CORNER, a_project
from tests.intake.files import STEP, decide, feature, features, numbers, square, tiles, tiles_of, write

OUTCOMES = ("new", "updated", "confirmed", "remembered_rejects", "unsure", "held", "withdrawn")


def predict(
    database: Database, project: ProjectView, folder: Path, model: str, *shapes: Any, again: bool = False
) -> dict[str, int]:
    """Import shapes as a model's predictions -> what became of them, zeros left out."""
    path = write(folder / f"{model}.geojson", shapes)
    answer = import_predictions(database, project, path, model_name=model, again=again)
    return {name: count for name, count in numbers(answer, OUTCOMES).items() if count}


def test_a_reject_is_remembered_across_models(database: Database, project: ProjectView, tmp_path: Path) -> None:
    predict(database, project, tmp_path, "first", square(1), square(5))
    wrong, right = (row.id for row in features(database))
    decide(database, project, wrong, "reject")
    for model in ("second", "third"):
        outcome = predict(database, project, tmp_path, model, square(1, shift=0.2), square(5, shift=0.2))
        assert outcome == {"remembered_rejects": 1, "updated": 1}
        rejected, undecided = features(database)
        assert (rejected.id, rejected.verdict, rejected.remembered) == (wrong, "reject", "reject")
        assert (undecided.id, undecided.verdict, undecided.remembered) == (right, None, None)
        assert shapely.equals_exact(rejected.geometry, square(1), 1e-9)
    with database.read() as connection:
        pointing = connection.execute(select(Prediction.id).where(Prediction.feature_id == wrong)).all()
    assert len(pointing) == 3


@pytest.mark.parametrize("verdict", ["accept", "correct", "add"])
def test_a_prediction_of_what_is_annotated_arrives_confirmed(
    database: Database, project: ProjectView, tmp_path: Path, verdict: str
) -> None:
    predict(database, project, tmp_path, "first", square(1))
    (before,) = features(database)
    decide(database, project, before.id, verdict, geometry=square(1, shift=0.1))
    assert predict(database, project, tmp_path, "second", square(1, shift=0.3)) == {"confirmed": 1}
    (after,) = features(database)
    assert (after.verdict, after.remembered, after.prediction_id) == (verdict, verdict, before.prediction_id)
    assert shapely.equals_exact(after.geometry, square(1, shift=0.1), 1e-9)


def test_an_undecided_feature_shows_the_newest_prediction(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    at_the_border = square(16, 16, size=3.5)
    predict(database, project, tmp_path, "first", feature(at_the_border, score=0.1))
    (before,) = features(database)
    assert tiles_of(database, before.id) == {CORNER}
    beyond = shapely.affinity.translate(at_the_border, STEP)
    assert predict(database, project, tmp_path, "second", feature(beyond, score=0.5)) == {"updated": 1}
    (after,) = features(database)
    assert after.id == before.id
    assert after.prediction_id != before.prediction_id
    assert shapely.equals_exact(after.geometry, beyond, 1e-9)
    assert {tile.x for tile in tiles_of(database, after.id)} == {CORNER.x, CORNER.x + 1}
    assert [row.uncertainty for row in tiles(database).values()] == pytest.approx([1, 1])


def test_what_nobody_decided_and_a_newer_model_does_not_predict_is_withdrawn_and_can_come_back(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    predict(database, project, tmp_path, "first", feature(square(1), score=0.5), square(9), square(50))
    assert predict(database, project, tmp_path, "second", feature(square(9), score=1)) == {"updated": 1, "withdrawn": 1}
    gone, updated, elsewhere = features(database)
    assert (gone.withdrawn, updated.withdrawn, elsewhere.withdrawn) == (True, False, False)
    assert tiles(database)[CORNER].uncertainty == pytest.approx((1 + 0) / 2)  # the runs disagree on one of two
    assert predict(database, project, tmp_path, "third", square(1, shift=0.1)) == {"updated": 1, "withdrawn": 1}
    back, gone, _ = features(database)
    assert (back.withdrawn, gone.withdrawn) == (False, True)


def test_parts_of_one_model_do_not_withdraw_each_other(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    predict(database, project, tmp_path, "first", square(1))
    assert predict(database, project, tmp_path, "first", square(9)) == {"new": 1}
    assert not any(row.withdrawn for row in features(database))


def test_only_classes_that_a_run_predicts_are_withdrawn(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    predict(database, project, tmp_path, "first", square(1))
    assert predict(database, project, tmp_path, "wells", square(9).centroid) == {"new": 1}
    assert not any(row.withdrawn for row in features(database))


def test_the_mistake_that_was_corrected_is_no_news(database: Database, project: ProjectView, tmp_path: Path) -> None:
    with database.write() as connection:
        sheds = a_project(connection, "Sheds", [("building", "polygon"), ("shed", "polygon")])
    path = write(tmp_path / "first.geojson", [square(1), square(9)])
    import_predictions(database, sheds, path, model_name="first", class_name="building")
    moved, renamed = (row.id for row in features(database))
    decide(database, sheds, moved, "correct", geometry=square(1, shift=1.5))
    decide(database, sheds, renamed, "correct", class_name="shed")
    path = write(tmp_path / "second.geojson", [square(1, shift=0.1), square(9, shift=0.1)])
    answer = import_predictions(database, sheds, path, model_name="second", class_name="building")
    assert (answer["confirmed"], answer["new"]) == (2, 0)
    assert [row.remembered for row in features(database)] == ["correct", "correct"]


def test_an_unsure_feature_stays_as_it_is(database: Database, project: ProjectView, tmp_path: Path) -> None:
    predict(database, project, tmp_path, "first", square(1))
    (before,) = features(database)
    decide(database, project, before.id, "unsure")
    assert predict(database, project, tmp_path, "second", square(1, shift=0.2)) == {"unsure": 1}
    (after,) = features(database)
    assert (after.verdict, after.remembered, after.prediction_id) == ("unsure", "unsure", before.prediction_id)


def test_what_somebody_is_looking_at_does_not_change(database: Database, project: ProjectView, tmp_path: Path) -> None:
    predict(database, project, tmp_path, "first", square(1), square(9))
    before = features(database)
    with database.write() as connection:
        claims.take(connection, tiles(database)[CORNER].id, annotator_id(connection, "anna"), 600)
    assert predict(database, project, tmp_path, "second", square(1, shift=0.2)) == {"held": 1}
    after = features(database)
    assert [(row.geometry, row.prediction_id, row.withdrawn) for row in after] == [
        (row.geometry, row.prediction_id, False) for row in before
    ]


@pytest.mark.parametrize(
    ("shape", "near", "far"),
    [
        (shapely.Point(0, 0), 4.0, 6.0),
        (shapely.LineString([(0, 0), (40, 0)]), 2.0, 10.0),
    ],
)
def test_points_and_lines_are_remembered_within_their_tolerance(
    database: Database, project: ProjectView, tmp_path: Path, shape: BaseGeometry, near: float, far: float
) -> None:
    def at(north: float) -> BaseGeometry:  # metres, from just inside the tile's southern border
        degrees = 1 / 111_320
        placed = shapely.affinity.scale(shape, degrees, degrees, origin=(0, 0))
        return shapely.affinity.translate(placed, CORNER.bounds[0] + STEP, CORNER.bounds[1] + (0.5 - north) * degrees)

    predict(database, project, tmp_path, "first", at(0))
    decide(database, project, features(database)[0].id, "reject")
    assert predict(database, project, tmp_path, "second", at(near)) == {"remembered_rejects": 1}  # on the next tile
    assert predict(database, project, tmp_path, "third", at(far)) == {"new": 1}


def test_what_is_decided_while_an_import_is_under_way_counts(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    predict(database, project, tmp_path, "first", square(1), square(5))
    first, second = (row.id for row in features(database))

    def decide_meanwhile(stage: str) -> None:
        if stage == "Writing":  # everything is compared, nothing is written
            decide(database, project, first, "reject")
            decide(database, project, second, "correct", geometry=square(12))
            predict(database, project, tmp_path, "first", square(15))

    path = write(tmp_path / "second.geojson", [square(1), square(12), square(15, shift=0.1)])
    answer = import_predictions(database, project, path, model_name="second", progress=decide_meanwhile)
    assert numbers(answer, ("new", "remembered_rejects", "confirmed", "updated")) == {
        "new": 0,
        "remembered_rejects": 1,
        "confirmed": 1,
        "updated": 1,
    }
    assert [row.remembered for row in features(database)] == ["reject", "correct", None]


def test_undone_additions_are_no_features(database: Database, project: ProjectView, tmp_path: Path) -> None:
    predict(database, project, tmp_path, "first", square(9))
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE feature SET prediction_id = NULL, verdict = NULL")
    assert predict(database, project, tmp_path, "second", square(9)) == {"new": 1}
    with database.read() as connection:
        assert connection.execute(select(Decision.seq)).all() == []
