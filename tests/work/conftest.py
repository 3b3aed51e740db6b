"""A project with tiles in a row, and a model of it that answers what a test wants."""

import pytest

from maploop.database import Database
from maploop.predict.models import ModelView, add_model
from maploop.project import ProjectView
from maploop.work import runs
from maploop.work.foreman import Foreman
from tests.builders import a_project, a_tile
from tests.predict.ground import TILES, FakePredictor, Grey


@pytest.fixture
def project(database: Database) -> ProjectView:
    """Eight open tiles in a row."""
    with database.write() as connection:
        project = a_project(connection)
        for column in range(TILES):
            a_tile(connection, project, column)
    return project


@pytest.fixture
def model(database: Database, project: ProjectView) -> ModelView:
    """A model of that project."""
    with database.write() as connection:
        return add_model(connection, project, "fake", "chat", identifier="gpt-4o")


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> FakePredictor:
    """What opens when the model is opened."""
    fake = FakePredictor()
    monkeypatch.setattr(runs, "open_predictor", lambda *_, **__: fake)
    return fake


@pytest.fixture
def foreman(database: Database) -> Foreman:
    """Somebody who does the work when told, in the test's thread."""
    return Foreman(database, (lambda each: runs.waiting_runs(each, lambda _: Grey()),))
