"""The import page: a project made, imagery and features from files, and what is said of files of another kind."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from db.engine import Database
from db.models import Imagery
from maploop.imagery.area import area_of
from maploop.project import ProjectView, list_projects
from maploop.settings import get_settings
from pages import links
from tests.browser.review_ground import paint
from tests.builders import a_project
from tests.intake.files import block, counts, feature, square, tiles

PAGE = str(Path(links.__file__).parent / "import_.py")


@pytest.fixture
def project(sqlite_database: Database) -> ProjectView:
    """A project with nothing in it."""
    with sqlite_database.write() as connection:
        return a_project(connection)


def page() -> AppTest:
    """The page after its first run."""
    return AppTest.from_file(PAGE, default_timeout=60).run()


def upload(app: AppTest, name: str, content: bytes, what: str = "predictions") -> AppTest:
    """The page after a file was given to one of its forms."""
    app.file_uploader(key=f"{what}_file").set_value((name, content, "application/octet-stream"))
    if what == "predictions":
        app.text_input(key="predictions_model").set_value("roofs")
    return app.button(key=f"import_{what}").click().run()


def metrics(app: AppTest) -> dict[str, str]:
    """Label -> value."""
    return {each.label: each.value for each in app.metric}


def collection(*features: object) -> bytes:
    """A file of GeoJSON."""
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def test_without_a_project_the_page_makes_one(sqlite_database: Database) -> None:
    app = page()
    assert not app.exception
    app.text_input(key="new_name").set_value("Roofs")
    app.text_area(key="new_classes").set_value("roof:shape")
    app.button(key="create_project").click().run()
    assert "shape" in app.error[0].value
    app.text_area(key="new_classes").set_value("roof:polygon\n\nroad:line")
    app.button(key="create_project").click().run()
    assert not app.exception
    with sqlite_database.read() as connection:
        assert list_projects(connection) == ["Roofs"]


def test_predictions_are_told_by_row(project: ProjectView) -> None:
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [0.0001, 0.0001], [0.0001, 0], [0, 0.0001], [0, 0]]]}
    rows = collection(
        feature(square(1)), {"type": "Feature", "geometry": bow, "properties": {}}, feature(square(5), score=7)
    )
    app = upload(page(), "roofs.geojson", rows)
    assert not app.exception
    told = metrics(app)
    assert (told["Rows read"], told["Skipped"]) == ("3", "0")
    assert int(told["Repaired"]) >= 1
    repairs = next(each.value for each in app.dataframe if "how" in each.value)
    assert 1 in repairs["row"].tolist()


@pytest.mark.parametrize("name", ["roofs.geojson", "../../roofs.gpkg", "r" * 240 + ".zip"])
def test_a_file_that_is_not_what_it_says_changes_nothing(
    project: ProjectView, sqlite_database: Database, name: str
) -> None:
    app = page()
    before = counts(sqlite_database)
    upload(app, name, b"PK\x03\x04 none of it")
    assert not app.exception
    (error,) = app.error
    assert "/tmp" not in error.value
    assert counts(sqlite_database) == before


def test_uploads_of_one_name_do_not_replace_each_other(
    project: ProjectView, sqlite_database: Database, tmp_path: Path
) -> None:
    app = page()
    first = paint(tmp_path / "a.tif", 1).read_bytes()
    second = paint(tmp_path / "b.tif", 2).read_bytes()
    for content in (first, second):
        upload(app, "ortho.tif", content, "imagery")
        assert not app.exception
        assert not app.error
    kept = get_settings().imagery_folder
    assert sorted(path.read_bytes() for path in kept.rglob("*.tif")) == sorted((first, second))
    with sqlite_database.read() as connection:
        locations = connection.execute(select(Imagery.location)).scalars().all()
    assert len(set(locations)) == 2


def test_an_upload_that_is_no_imagery_leaves_nothing_behind(project: ProjectView, tmp_path: Path) -> None:
    app = page()
    good = paint(tmp_path / "a.tif", 1).read_bytes()
    upload(app, "ortho.tif", good, "imagery")
    upload(app, "ortho.tif", b"II*\0 not one", "imagery")
    (error,) = app.error
    assert error.value.startswith("'ortho.tif' cannot be read as a GeoTIFF")
    assert str(get_settings().data_folder) not in error.value
    (left,) = (path for path in get_settings().imagery_folder.rglob("*") if path.is_file())
    assert left.read_bytes() == good


def test_known_truth_is_imported(project: ProjectView) -> None:
    app = page()
    area = ("area.geojson", collection(feature(block(1))), "application/octet-stream")
    app.file_uploader(key="annotations_area").set_value(area)
    app = upload(app, "truth.geojson", collection(feature(square(1))), "annotations")
    assert not app.exception
    assert metrics(app)["Features imported"] == "1"
    assert "tiles now complete" in "\n".join(each.value for each in app.markdown)


def test_an_import_is_taken_back_after_the_page_has_said_what_goes(
    project: ProjectView, sqlite_database: Database
) -> None:
    app = upload(page(), "roofs.geojson", collection(feature(square(1)), feature(square(5))))
    assert metrics(app)["Features imported"] == "2"
    app = page()
    app.button(key="preview_undo").click().run()
    assert [each.value for each in app.warning if "features go" in each.value] == [
        "2 features go; 1 tile goes, as nothing else holds it."
    ]
    assert tiles(sqlite_database)
    app.button(key="confirm_undo").click().run()
    assert not app.exception
    assert any("was taken back" in each.value and "2 features go" in each.value for each in app.success)
    assert not tiles(sqlite_database)
    assert "confirm_undo" not in [each.key for each in app.button]


def test_an_area_comes_from_a_file_and_what_is_none_is_said(project: ProjectView, sqlite_database: Database) -> None:
    app = page()
    app.button(key="set_area").click().run()
    (error,) = app.error
    assert error.value.startswith("There is no area")
    app.file_uploader(key="area_file").set_value(("a.geojson", collection(feature(block(2))), "application/json"))
    app.button(key="set_area").click().run()
    assert not app.exception
    with sqlite_database.read() as connection:
        area = area_of(connection, project)
    assert area is not None
    assert area.equals(block(2))
