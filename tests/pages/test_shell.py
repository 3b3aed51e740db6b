"""The frame round every page says in words when the database under it is gone."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from maploop.database import open_database
from pages import links
from tests.builders import a_project


def test_a_page_says_that_the_database_is_gone(sqlite_url: str) -> None:
    with open_database(sqlite_url).write() as connection:
        a_project(connection)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    shell = AppTest.from_file(str(Path(links.__file__).parent / "shell.py"), default_timeout=60)
    assert not shell.run().error
    path.rename(path.with_name("away.sqlite"))
    app = shell.run()
    assert not app.exception
    assert "is gone" in app.error[0].value
    assert not path.exists()
