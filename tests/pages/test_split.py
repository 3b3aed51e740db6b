"""The split on the import page: shown before work begins, changed while nothing is decided."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from db.engine import Database
from maploop.dataset.blocks import split_sides
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import ensure_tiles
from maploop.project import ProjectView, load_project
from pages import links
from tests.builders import CORNER, a_decision, a_person, a_prediction, a_project, a_tile

PAGE = str(Path(links.__file__).parent / "import_.py")


def with_tiles(database: Database, columns: int, rows: int) -> ProjectView:
    with database.write() as connection:
        project = a_project(connection)
        tiles = [Tile(CORNER.z, CORNER.x + column, CORNER.y + row) for row in range(rows) for column in range(columns)]
        ensure_tiles(connection, project, tiles)
    return project


def page(project: ProjectView) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["project"] = project.name
    return app.run()


def split_of(app: AppTest) -> dict[str, int]:
    (table,) = [each.value for each in app.dataframe if "side" in each.value]
    return dict(zip(table["side"], table["tiles"], strict=True))


def test_the_split_is_shown_and_changed_before_anybody_decides(sqlite_database: Database) -> None:
    project = with_tiles(sqlite_database, 6, 4)
    app = page(project)
    assert not app.exception
    assert split_of(app) == {"train": 17, "validation": 2, "test": 5}
    assert not app.warning
    app.number_input(key="split_test").set_value(50.0)
    app.button(key="split_anew").click().run()
    assert "The tiles are split anew." in app.success[0].value
    assert split_of(app)["test"] == 12
    with sqlite_database.read() as connection:
        project = load_project(connection, "Town")
        assert [each.tiles for each in split_sides(connection, project)] == list(split_of(app).values())


def test_a_test_side_of_few_blocks_is_warned_of(sqlite_database: Database) -> None:
    app = page(with_tiles(sqlite_database, 3, 2))
    assert "The test side has 1 block, which gives no interval: 5 are needed" in app.warning[0].value.replace("\\", "")


def test_a_split_that_stands_cannot_be_changed(sqlite_database: Database) -> None:
    project = with_tiles(sqlite_database, 6, 4)
    with sqlite_database.write() as connection:
        tile = a_tile(connection, project, 50)
        feature = a_prediction(connection, project, tile, 0).feature_id
        a_decision(connection, project, tile, feature, "accept", a_person(connection, "anna"))
    app = page(project)
    assert "split_anew" not in {each.key for each in app.button}
    assert any("The split stands" in each.value for each in app.caption)
