"""Projects ready to be exported, on each database."""

import pytest

from db.engine import Database
from tests.dataset.ground import Ground, furnish, lay_ground


@pytest.fixture
def ground(database: Database) -> Ground:
    """Four approved tiles: train, train, validation, test; with features of every kind."""
    found = lay_ground(database)
    furnish(found)
    return found


@pytest.fixture
def local_ground(sqlite_database: Database) -> Ground:
    """The same on SQLite alone, for what no longer asks the database."""
    found = lay_ground(sqlite_database)
    furnish(found)
    return found
