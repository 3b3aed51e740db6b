"""A project to import into."""

import pytest

from maploop.database import Database
from maploop.project import ProjectView
from tests.builders import a_project


@pytest.fixture
def project(database: Database) -> ProjectView:
    """Buildings, roads and wells at zoom 19, in a database of each kind."""
    with database.write() as connection:
        return a_project(connection)
