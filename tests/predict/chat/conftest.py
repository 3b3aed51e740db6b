"""A project of three classes with the contract of its chat models; and painted ground with a server to ask."""

import pytest

from maploop.contract import Contract, contract_of
from maploop.database import Database
from maploop.dataset.split import Split
from maploop.project import ClassView, ProjectSettings, ProjectView
from tests.predict.chat.ground import KEY_NAME, Town, a_chat_model, knows
from tests.tune.ground import lay_ground
from tests.vendor import KEY, Vendor
from tests.vendor.fixtures import vendor

__all__ = ["vendor"]

SPLITS: tuple[Split, ...] = ("train", "train", "train", "train", "train", "train", "validation", "test")


@pytest.fixture(scope="session")
def town() -> ProjectView:
    """Buildings, roads and wells at zoom 19."""
    return ProjectView(
        id=1,
        name="Town",
        zoom=19,
        tile_size=512,
        seed="s",
        settings=ProjectSettings(),
        classes=(
            ClassView(1, "building", "polygon", "#E69F00", 1, ""),
            ClassView(2, "road", "line", "#56B4E9", 2, ""),
            ClassView(3, "well", "point", "#009E73", 3, ""),
        ),
    )


@pytest.fixture(scope="session")
def contract(town: ProjectView) -> Contract:
    """What its models are asked."""
    return contract_of(town)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of the server, in the environment."""
    monkeypatch.setenv(KEY_NAME, KEY)
    return KEY


@pytest.fixture
def painted(sqlite_database: Database, vendor: Vendor, key: str) -> Town:
    """Eight tiles in a row, one of validation and one of test, and a model that knows every house on them."""
    ground = lay_ground(sqlite_database, splits=SPLITS)
    town = Town(ground, vendor, a_chat_model(ground, vendor, "eyes"))
    vendor.brain = knows(town.answers())
    return town
