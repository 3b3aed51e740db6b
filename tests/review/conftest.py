"""A small project for every test of the review, on each database."""

import pytest

from db.engine import Database
from tests.review.ground import Ground, lay_ground


@pytest.fixture
def ground(database: Database) -> Ground:
    """Four tiles in a row with four predicted buildings each; anna and bob review them."""
    return lay_ground(database)
