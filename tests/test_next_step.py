"""The one next thing to do, where models have a part in it."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, insert

from db.engine import Database
from db.models import Dataset, Run, TuningJob
from db.types import utc_now
from maploop.next_step import NextStep
from maploop.overview import overview_of
from maploop.predict.models import ModelView, add_model
from maploop.project import ProjectView
from tests.builders import a_person, a_prediction, a_project, a_tile, a_tile_event


@pytest.fixture
def project(database: Database) -> ProjectView:
    """A project with an open tile."""
    with database.write() as connection:
        project = a_project(connection)
        a_tile(connection, project)
    return project


def next_of(database: Database, project: ProjectView) -> NextStep:
    """The next step as anna sees it."""
    with database.write() as connection:
        return overview_of(connection, project, a_person(connection, "anna")).next_step


def a_dataset(connection: Connection, project: ProjectView, *, minutes_ago: int = 0) -> str:
    """The id of a frozen dataset."""
    identifier = f"{minutes_ago:064x}"
    anna, at = a_person(connection, "anna"), utc_now() - timedelta(minutes=minutes_ago)
    connection.execute(
        insert(Dataset).values(id=identifier, project_id=project.id, created_by=anna, manifest={}, created_at=at)
    )
    return identifier


def a_model(connection: Connection, project: ProjectView, name: str, dataset: str | None = None) -> ModelView:
    """A local model."""
    return add_model(connection, project, name, "local", identifier=name, dataset_id=dataset)


def test_imagery_without_predictions_asks_for_a_model_where_there_is_one(
    database: Database, project: ProjectView
) -> None:
    assert next_of(database, project).label == "Import predictions"
    with database.write() as connection:
        a_model(connection, project, "first")
    step = next_of(database, project)
    assert (step.page, step.label, step.query) == ("models", "Predict", {"part": "Predict", "model": "first"})


def test_a_fresh_dataset_asks_to_be_learned_from_and_the_new_model_to_predict(
    database: Database, project: ProjectView
) -> None:
    with database.write() as connection:
        a_prediction(connection, project, a_tile(connection, project, 1))
        dataset = a_dataset(connection, project)
    step = next_of(database, project)
    assert (step.page, step.query) == ("models", {"part": "Tune"})
    with database.write() as connection:
        connection.execute(
            insert(TuningJob).values(
                token="t",
                project_id=project.id,
                dataset_id=dataset,
                trainer="local",
                base="local",
                name="tuned",
                created_by=a_person(connection, "anna"),
            )
        )
    assert next_of(database, project).page == "review"
    with database.write() as connection:
        model = a_model(connection, project, "tuned", dataset)
    step = next_of(database, project)
    assert (step.page, step.query) == ("models", {"part": "Predict", "model": "tuned"})
    with database.write() as connection:
        connection.execute(insert(Run).values(project_id=project.id, model_id=model.id))
    assert next_of(database, project).page == "review"


def test_who_goes_on_reviewing_is_not_asked_to_tune_again_and_again(database: Database, project: ProjectView) -> None:
    with database.write() as connection:
        tile = a_tile(connection, project, 1)
        a_prediction(connection, project, tile)
        a_dataset(connection, project, minutes_ago=5)
        a_tile_event(connection, tile, "complete", a_person(connection, "anna"))
    assert next_of(database, project).page == "review"


def test_a_clock_that_jumps_back_neither_makes_a_new_dataset_old_nor_hides_what_came_after_it(
    database: Database, project: ProjectView
) -> None:
    with database.write() as connection:
        a_prediction(connection, project, a_tile(connection, project, 1))
        first = a_dataset(connection, project)
        values = {"token": "t", "project_id": project.id, "dataset_id": first, "trainer": "local", "base": "local"}
        anna = a_person(connection, "anna")
        connection.execute(insert(TuningJob).values(**values, name="tuned", created_by=anna))
        a_dataset(connection, project, minutes_ago=60)
    assert next_of(database, project).query == {"part": "Tune"}
    with database.write() as connection:
        tile = a_tile(connection, project, 2)
        a_tile_event(connection, tile, "complete", anna, stored_at=utc_now() - timedelta(hours=2))
    assert next_of(database, project).page == "review"
