"""A file that lies outside all imagery is refused, with a guess at what is wrong with its coordinates."""

from pathlib import Path
from typing import Any

import pyproj
import pytest
import shapely

from maploop.database import Database
from maploop.errors import InputError
from maploop.predict.file import import_predictions
from maploop.project import ProjectView
from maploop.review.truth import import_annotations
from tests.builders import a_tile, some_imagery
from tests.intake.files import counts, square, tiles, write


@pytest.fixture
def town(database: Database, project: ProjectView) -> ProjectView:
    """The project with imagery of four tiles in a row, in UTM zone 36 N."""
    with database.write() as connection:
        local = some_imagery(connection, project, kind="geotiff", location="/town.tif")
        for column in range(4):
            a_tile(connection, project, column, imagery_id=local)
    return project


def swapped(shape: Any) -> Any:
    return shapely.transform(shape, lambda points: points[:, ::-1])


def taken_for(shape: Any, told: int, true: int) -> Any:
    """A shape whose coordinates in one CRS were taken for those of another."""
    there = pyproj.Transformer.from_crs(4326, true, always_xy=True).transform
    back = pyproj.Transformer.from_crs(told, 4326, always_xy=True).transform
    return shapely.transform(
        shapely.transform(shape, lambda each: shapely.get_coordinates(shapely.points(*there(*each.T)))),
        lambda each: shapely.get_coordinates(shapely.points(*back(*each.T))),
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (swapped, "With x and y swapped, 3 of 3 would be"),
        (lambda shape: taken_for(shape, 32635, 32636), "Read in UTM zone 36N, 3 of 3 would be: give --crs EPSG:32636"),
        (lambda shape: shapely.transform(shape, lambda each: each + 5), "is on the project's"),
    ],
)
def test_a_file_outside_all_imagery_is_refused_with_a_guess(
    database: Database, town: ProjectView, tmp_path: Path, change: Any, says: str
) -> None:
    path = write(tmp_path / "p.geojson", [change(square(at)) for at in (1, 5, 9)])
    before = counts(database)
    with pytest.raises(InputError, match=r"p\.geojson lies outside all imagery: none of its 3 features") as error:
        import_predictions(database, town, path, model_name="m")
    assert says in str(error.value)
    assert "--outside-imagery" in str(error.value)
    with pytest.raises(InputError, match="outside all imagery"):
        import_annotations(database, town, path, annotator="anna")
    assert counts(database) == before
    assert import_predictions(database, town, path, model_name="m", outside_imagery=True)["outside_imagery"] == 3


def test_one_feature_on_imagery_is_enough(database: Database, town: ProjectView, tmp_path: Path) -> None:
    path = write(tmp_path / "p.geojson", [square(1), swapped(square(5))])
    assert import_predictions(database, town, path, model_name="m")["outside_imagery"] == 1


def test_features_may_come_before_imagery(database: Database, project: ProjectView, tmp_path: Path) -> None:
    import_predictions(database, project, write(tmp_path / "p.geojson", [square(1)]), model_name="m")
    assert len(tiles(database)) == 1
