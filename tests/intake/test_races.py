"""Imports that come in at the same time, each whole, none twice."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import select

from db.models import Prediction, Run
from maploop.database import Database
from maploop.errors import ConflictError
from maploop.predict.file import import_predictions
from maploop.project import ProjectView
from maploop.review.truth import import_annotations
from tests.intake.files import block, counts, features, square, tiles, write


def together(*works: Callable[[Callable[[str], None]], Any]) -> list[Any]:
    """Run imports in threads that all wait for each other before the first one writes -> answers or errors."""
    barrier = threading.Barrier(len(works))

    def wait(stage: str) -> None:
        if stage == "Writing":
            barrier.wait(timeout=60)

    def attempt(work: Callable[[Callable[[str], None]], Any]) -> Any:
        try:
            return work(wait)
        except ConflictError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(attempt, works))


def test_two_models_over_the_same_ground_meet_in_the_same_features(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    shapes = [square(3 * column, 3 * row) for column in range(20) for row in range(10)]
    path = write(tmp_path / "p.geojson", shapes)

    def predict(model: str) -> Callable[[Callable[[str], None]], Any]:
        return lambda wait: import_predictions(database, project, path, model_name=model, progress=wait)

    answers = together(*(predict(f"model {number}") for number in range(4)))
    assert sorted(answer["new"] for answer in answers) == [0, 0, 0, len(shapes)]
    assert counts(database)["prediction"] == 4 * len(shapes)
    assert len(features(database)) == len(shapes)
    with database.read() as connection:
        last = connection.execute(select(Prediction.run_id).order_by(Prediction.id.desc()).limit(1)).scalar_one()
        shown = select(Prediction.run_id).where(Prediction.id.in_([row.prediction_id for row in features(database)]))
        assert set(connection.execute(shown).scalars()) == {last}


def test_the_same_file_at_the_same_time_goes_in_once(database: Database, project: ProjectView, tmp_path: Path) -> None:
    path = write(tmp_path / "p.geojson", [square(1), square(25)])

    def predict(wait: Callable[[str], None]) -> Any:
        return import_predictions(database, project, path, model_name="m", progress=wait)

    answers = together(predict, predict)
    assert sum(isinstance(answer, ConflictError) for answer in answers) == 1
    with database.read() as connection:
        assert len(connection.execute(select(Run.id)).all()) == 1
    assert len(features(database)) == 2


def test_truth_and_predictions_at_the_same_time_leave_one_feature_each(
    database: Database, project: ProjectView, tmp_path: Path
) -> None:
    path = write(tmp_path / "p.geojson", [square(1), square(25)])
    together(
        lambda wait: import_predictions(database, project, path, model_name="m", progress=wait),
        lambda wait: import_annotations(database, project, path, annotator="anna", area=block(), progress=wait),
    )
    assert len(features(database)) == 2
    assert {row.verdict for row in features(database)} <= {"add", "accept"}
    assert {row.status for row in tiles(database).values()} == {"complete"}
