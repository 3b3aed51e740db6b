"""A project of eight coloured tiles, and a model at the vendor of the tests."""

import pytest

from maploop.database import Database
from maploop.predict.models import add_model
from tests.builders import a_project, a_tile
from tests.predict.batch.ground import World
from tests.predict.ground import TILES
from tests.vendor import KEY, Vendor
from tests.vendor.fixtures import vendor

__all__ = ["vendor"]


@pytest.fixture
def world(database: Database, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> World:
    """In three batches of at most three tiles."""
    monkeypatch.setenv("VENDOR_KEY", KEY)
    with database.write() as connection:
        project = a_project(connection)
        for column in range(TILES):
            a_tile(connection, project, column)
        server = {"base_url": vendor.url, "key": "VENDOR_KEY"}
        model = add_model(connection, project, "town", "chat", identifier="gpt-4o", parameters=server)
    return World(database, project, model, vendor)
