"""Painted ground on each database, and one on SQLite alone for what no longer asks the database; and a server."""

import pytest

from maploop.database import Database
from tests.tune.ground import ENOUGH_TO_TUNE, Ground, lay_ground
from tests.tune.hosted import Office
from tests.vendor import Vendor
from tests.vendor.fixtures import vendor

__all__ = ["vendor"]


@pytest.fixture
def ground(database: Database) -> Ground:
    """Two train tiles, one of validation, one of test."""
    return lay_ground(database)


@pytest.fixture
def local_ground(sqlite_database: Database) -> Ground:
    """The same on SQLite."""
    return lay_ground(sqlite_database)


@pytest.fixture
def wide_ground(sqlite_database: Database) -> Ground:
    """As many train tiles as a server wants, two of validation, one of test, on SQLite."""
    return lay_ground(sqlite_database, splits=ENOUGH_TO_TUNE)


@pytest.fixture
def office(wide_ground: Ground, vendor: Vendor) -> Office:
    """A dataset, and a server to send it to."""
    return Office(wide_ground, vendor)
