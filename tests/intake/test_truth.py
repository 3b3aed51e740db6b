"""Known truth from a file: real decisions of a real person, on tiles that are complete with them."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import shapely
from sqlalchemy import select

from db.bulk import table_of
from db.models import Annotator, Decision, TileEvent
from maploop.database import Database
from maploop.errors import ClaimError, VectorError
from maploop.predict.file import import_predictions
from maploop.project import ProjectView, annotator_id
from maploop.review import claims, truth
from maploop.review.truth import import_annotations
from tests.builders import CORNER, a_tile, some_imagery
from tests.intake.files import block, counts, decide, feature, features, square, tiles, write

OUTCOMES = ("added", "accepted", "corrected", "already", "rejected", "completed", "left_open")


def know(database: Database, project: ProjectView, folder: Path, *shapes: Any, **options: Any) -> dict[str, int]:
    """Import shapes as Anna's truth, complete on four tiles -> what became of them, zeros left out."""
    path = write(folder / "truth.geojson", shapes)
    answer = import_annotations(database, project, path, annotator="anna", **{"area": block(), **options})
    return {name: answer[name] for name in OUTCOMES if answer[name]}


def predict(database: Database, project: ProjectView, folder: Path, *shapes: Any) -> None:
    """Import shapes as a model's predictions."""
    import_predictions(database, project, write(folder / "p.geojson", shapes), model_name="m")


def decisions(database: Database) -> list[Any]:
    """All decisions in order, each with the name of who made it."""
    query = select(*table_of(Decision).columns, Annotator.name).join(Annotator).order_by(Decision.seq)
    with database.read() as connection:
        return list(connection.execute(query))


def test_known_truth_is_added_and_its_tiles_are_complete(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    assert know(database, project, tmp_path, square(1), square(25)) == {"added": 2, "completed": 2}
    rows = features(database)
    for row, decision in zip(rows, decisions(database), strict=True):
        assert (row.verdict, row.added_as, row.decision_id) == ("add", decision.id, decision.id)
        assert (decision.verdict, decision.name, decision.seconds) == ("add", "anna", 0)
        assert (decision.geometry_before, decision.class_before_id, decision.prediction_id) == (None, None, None)
        assert (decision.feature_id, UUID(decision.id).version) == (row.id, 4)
        assert shapely.equals_exact(decision.geometry, row.geometry, 0)
    with database.read() as connection:
        acts = connection.execute(select(TileEvent.act, TileEvent.tile_id)).all()
    assert {tuple(act) for act in acts} == {("complete", row.id) for row in tiles(database).values()}
    for row in tiles(database).values():
        assert (row.status, row.finished_at is not None) == ("complete", True)


def test_truth_decides_what_was_predicted_instead_of_doubling_it(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    predict(database, project, tmp_path, square(1), square(5), square(9), square(13))
    right, shifted, rejected, wrong = features(database)
    decide(database, project, rejected.id, "reject", who="bob")
    outcome = know(database, project, tmp_path, square(1), square(5, shift=0.2), square(9))
    assert outcome == {"accepted": 2, "corrected": 1, "rejected": 1, "completed": 1}
    verdicts = {row.id: row.verdict for row in features(database)}
    assert verdicts == {right.id: "accept", shifted.id: "correct", rejected.id: "accept", wrong.id: "reject"}
    by_feature = {row.feature_id: row for row in decisions(database) if row.name == "anna"}
    assert by_feature[right.id].prediction_id == right.prediction_id
    assert by_feature[right.id].model_id is not None
    assert by_feature[wrong.id].reason == "not_there"
    assert by_feature[rejected.id].previous_id == decisions(database)[0].id
    assert shapely.equals_exact(by_feature[shifted.id].geometry_before, shifted.geometry, 0)
    assert shapely.equals_exact(features(database)[1].geometry, square(5, shift=0.2), 1e-9)


def test_what_people_annotated_stays_theirs(database: Database, project: ProjectView, tmp_path: Path) -> None:
    predict(database, project, tmp_path, square(1))
    decide(database, project, features(database)[0].id, "correct", geometry=square(1, shift=0.3), who="bob")
    assert know(database, project, tmp_path, square(1, shift=0.1)) == {"already": 1, "completed": 1}
    assert [row.name for row in decisions(database)] == ["bob"]
    assert know(database, project, tmp_path, square(1, shift=0.1)) == {"already": 1}


def test_a_tile_with_undecided_features_of_other_classes_stays_open(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    predict(database, project, tmp_path, square(9).centroid, square(1))
    assert know(database, project, tmp_path, square(1)) == {"accepted": 1, "left_open": 1}
    assert tiles(database)[CORNER].status == "open"


def test_empty_tiles_are_complete_within_the_area_or_when_the_extent_is_said_to_be_filled(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    with database.write() as connection:
        local = some_imagery(connection, project, kind="geotiff", location="/town.tif")
        for column in range(5):
            a_tile(connection, project, column, imagery_id=local)
    predict(database, project, tmp_path, square(30))
    ends = [square(1), square(45)]  # on the first and the third tile
    assert know(database, project, tmp_path, *ends, area=None) == {"added": 2, "left_open": 2}
    outcome = know(database, project, tmp_path, *ends, area=None, complete_all=True)
    assert outcome == {"already": 2, "rejected": 1, "completed": 2, "left_open": 1}  # the file may end within the third
    assert [row.status for row in tiles(database).values()] == ["complete", "complete", "open", "open", "open"]
    assert know(database, project, tmp_path, *ends) == {"already": 2, "completed": 2}
    assert [row.status for row in tiles(database).values()] == [*["complete"] * 4, "open"]


def test_an_approved_tile_is_complete_again_when_truth_changes_it(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    with database.write() as connection:
        a_tile(connection, project, 0, status="approved")
        a_tile(connection, project, 1, status="returned")
    assert know(database, project, tmp_path, square(1), square(25), area=block(2)) == {"added": 2, "completed": 2}
    assert {row.status for row in tiles(database).values()} == {"complete"}
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE tile SET status = 'approved'")
    assert know(database, project, tmp_path, square(1), square(25), area=block(2)) == {"already": 2}
    assert {row.status for row in tiles(database).values()} == {"approved"}


def test_tiles_that_somebody_works_on_are_refused_by_name(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    predict(database, project, tmp_path, square(1))
    with database.write() as connection:
        claims.take(connection, tiles(database)[CORNER].id, annotator_id(connection, "bob"), 600)
    before = counts(database)
    with pytest.raises(ClaimError, match=rf"{CORNER} by bob: import when they are done"):
        know(database, project, tmp_path, square(1), square(25))
    assert counts(database) == before
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM claim")
        claims.take(connection, tiles(database)[CORNER].id, annotator_id(connection, "anna"), 600)
    assert know(database, project, tmp_path, square(1)) == {"accepted": 1, "completed": 1}


def test_a_failure_in_the_middle_changes_nothing(
    database: Database, project: ProjectView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(database, project, tmp_path, square(1), square(9))
    before, rows = counts(database), features(database)

    def refuse(*_: object) -> None:
        msg = "the power went"
        raise RuntimeError(msg)

    monkeypatch.setattr(truth, "refresh_uncertainty", refuse)
    with pytest.raises(RuntimeError, match="the power went"):
        know(database, project, tmp_path, square(1, shift=0.1), square(30))
    assert (counts(database), features(database)) == (before, rows)


def test_a_file_that_does_not_fit_changes_nothing(database: Database, project: ProjectView, tmp_path: Path) -> None:
    before = counts(database)
    path = write(tmp_path / "t.geojson", [feature(square(), kind="ship")])
    with pytest.raises(VectorError, match="none of its 1 rows"):
        import_annotations(database, project, path, annotator="anna", class_field="kind")
    assert counts(database) == before
