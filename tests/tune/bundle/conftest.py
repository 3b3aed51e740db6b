"""A furnished project, frozen, with the pairs that corrections leave."""

import pytest

from maploop.database import Database
from tests.dataset.ground import Ground, furnish, lay_ground


@pytest.fixture
def furnished(sqlite_database: Database) -> Ground:
    """Four approved tiles: train, train, validation, test; with features of every kind."""
    found = lay_ground(sqlite_database)
    furnish(found)
    return found
