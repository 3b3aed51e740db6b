"""A project of three classes, one of each geometry type."""

import pytest

from maploop.project import ClassView, ProjectSettings, ProjectView


@pytest.fixture(scope="session")
def project() -> ProjectView:
    """Buildings, roads and trees at zoom 19."""
    return ProjectView(
        id=1,
        name="town",
        zoom=19,
        tile_size=512,
        seed="s",
        settings=ProjectSettings(instructions="Leave out tents."),
        classes=(
            ClassView(1, "building", "polygon", "#E69F00", 1, "Anything\nwith a roof."),
            ClassView(2, "road", "line", "#56B4E9", 2, ""),
            ClassView(3, "tree", "point", "#009E73", 3, "The middle of the crown."),
        ),
    )
