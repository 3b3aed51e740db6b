"""A project of three classes and the contract of its chat models."""

import pytest

from maploop.contract import Contract, contract_of
from maploop.project import ClassView, ProjectSettings, ProjectView


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
