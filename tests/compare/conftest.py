"""The town, on each kind of database."""

import pytest

from maploop.database import Database
from tests.compare.ground import Town


@pytest.fixture
def town(database: Database) -> Town:
    return Town(database)
