"""Painted ground on each database, and one on SQLite alone for what no longer asks the database."""

import pytest

from maploop.database import Database
from tests.tune.ground import Ground, lay_ground


@pytest.fixture
def ground(database: Database) -> Ground:
    """Two train tiles, one of validation, one of test."""
    return lay_ground(database)


@pytest.fixture
def local_ground(sqlite_database: Database) -> Ground:
    """The same on SQLite."""
    return lay_ground(sqlite_database)
