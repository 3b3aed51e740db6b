"""Features of several parts on their way into a project: one prediction, one decision, one annotation."""

from pathlib import Path

import shapely
from sqlalchemy import func, select

from db.models import Decision, Feature, Prediction
from maploop.database import Database
from maploop.predict.file import import_predictions
from maploop.project import create_project
from maploop.review.truth import import_annotations
from tests.intake.files import square, write


def test_a_row_of_several_parts_is_one_feature_of_the_project(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.write() as connection:
        project = create_project(connection, "Town", [("building", "polygon")], zoom=19)
    path = write(tmp_path / "wings.geojson", [shapely.union_all([square(0), square(3)])])
    answer = import_predictions(sqlite_database, project, path, model_name="roofs")
    assert (answer["read"], answer["imported"], answer["new"]) == (1, 1, 1)
    truth = import_annotations(sqlite_database, project, path, annotator="anna")
    assert (truth["imported"], truth["accepted"], truth["added"]) == (1, 1, 0)
    with sqlite_database.read() as connection:
        queries = [select(func.count()).select_from(each) for each in (Feature, Prediction, Decision)]
        counts = [connection.execute(each).scalar_one() for each in queries]
        stored = connection.execute(select(Feature.geometry)).scalar_one()
    assert counts == [1, 1, 1]
    assert shapely.get_num_geometries(stored) == 2
