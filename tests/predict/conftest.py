"""A project with tiles in a row, and a model of it."""

import pytest

from maploop.database import Database
from maploop.predict.models import ModelView, add_model
from maploop.project import ProjectView
from tests.builders import a_project, a_tile
from tests.predict.ground import TILES


@pytest.fixture
def project(database: Database) -> ProjectView:
    """Eight open tiles in a row, the last two of the test split."""
    with database.write() as connection:
        project = a_project(connection)
        for column in range(TILES):
            a_tile(connection, project, column, split="train" if column < TILES - 2 else "test")
    return project


@pytest.fixture
def model(database: Database, project: ProjectView) -> ModelView:
    """A model of that project."""
    with database.write() as connection:
        return add_model(connection, project, "fake", "chat")
