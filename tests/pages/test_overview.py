"""The overview page: with nothing, with a project under way, and where its one button leads."""

from pathlib import Path
from typing import get_args

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from db.engine import Database
from maploop.next_step import PageName
from maploop.project import ProjectView
from pages import links
from tests.builders import a_decision, a_person, a_prediction, a_project, a_tile, a_tile_event

PAGE = str(Path(links.__file__).parent / "overview.py")


def page(project: ProjectView | None = None) -> AppTest:
    """The page after its first run."""
    app = AppTest.from_file(PAGE, default_timeout=30)
    if project is not None:
        app.query_params["project"] = project.name
    return app.run()


def metrics(app: AppTest) -> dict[str, str]:
    """Label -> value."""
    return {each.label: each.value for each in app.metric}


@pytest.fixture
def under_way(sqlite_database: Database) -> ProjectView:
    """One tile complete, one open."""
    with sqlite_database.write() as connection:
        project = a_project(connection)
        anna = a_person(connection, "anna")
        done = a_tile(connection, project, status="complete", finished_by=anna)
        a_tile_event(connection, done, "complete", anna)
        for place, verdict in enumerate(("accept", "reject")):
            roof = a_prediction(connection, project, done, place, score=0.9 - 0.5 * place)
            a_decision(connection, project, done, roof.feature_id, verdict, anna)
        a_prediction(connection, project, a_tile(connection, project, 1))
    return project


def test_without_a_project_the_page_says_what_to_do(sqlite_database: Database) -> None:
    app = page()
    assert not app.exception
    assert any("no project yet" in each.value for each in app.info)


def test_a_project_that_is_not_there_is_said_to_be_missing(under_way: ProjectView) -> None:
    app = AppTest.from_file(PAGE, default_timeout=30)
    app.query_params["project"] = "Nowhere"
    app.run()
    assert not app.exception
    assert "There is no project 'Nowhere'" in app.warning[0].value.replace("\\", "")
    assert app.query_params["project"] == under_way.name
    assert not app.run().warning


def test_an_empty_project_shows_its_next_step_and_no_figures(sqlite_database: Database) -> None:
    with sqlite_database.write() as connection:
        project = a_project(connection)
    app = page(project)
    assert not app.exception
    assert app.button(key="next_step").label == "Import imagery"
    assert metrics(app)["Tiles finished"] == "–"
    assert "No features yet." in [each.value for each in app.caption]


def test_a_project_under_way_shows_where_it_stands(under_way: ProjectView) -> None:
    app = page(under_way)
    assert not app.exception
    assert any("Review 1 tile." in each.value for each in app.markdown)
    assert metrics(app) == {
        "Tiles finished": "1 of 2",
        "Approved": "0",
        "Features decided": "2 of 3",
        "Annotations": "1",
        "Held now": "0",
    }
    people = app.dataframe[0].value
    assert people["name"].tolist() == ["anna"]
    assert people["decisions"].tolist() == [2]
    assert any("in 100 % of pairs" in each.value for each in app.caption)


def test_the_button_leads_to_the_next_step(under_way: ProjectView, monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[tuple[str, dict[str, str]]] = []

    def go(where: Path, *, query_params: dict[str, str]) -> None:
        went.append((where.name, query_params))
        st.stop()

    monkeypatch.setattr(st, "switch_page", go)
    app = page(under_way)
    app.button(key="next_step").click().run()
    assert went == [("review.py", {"project": "Town"})]


def test_every_step_leads_to_a_page_that_is_there() -> None:
    names = get_args(PageName)
    assert names
    for name in names:
        assert (links.PAGES / links.FILES.get(name, f"{name}.py")).is_file()


def test_hostile_names_stay_text(sqlite_database: Database) -> None:
    evil = "<img src=x onerror=alert(1)>"
    with sqlite_database.write() as connection:
        project = a_project(connection, evil, [(evil, "polygon")])
        eve = a_person(connection, evil)
        tile = a_tile(connection, project, status="complete", finished_by=eve)
        roof = a_prediction(connection, project, tile)
        a_decision(connection, project, tile, roof.feature_id, "accept", eve)
    app = page(project)
    assert not app.exception
    assert not any(each.allow_html for each in app.markdown)


@pytest.mark.parametrize("text", ["![x](http://evil/x.png)", "[a](b)", "`code`", "$x$", ":red[a]", "a_b*c*", "# h"])
def test_text_from_people_is_shown_as_it_is_written(text: str) -> None:
    escaped = links.plain(text)
    assert "".join(escaped.split("\\")) == text
    assert "](" not in escaped
