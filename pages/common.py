"""What every page needs: the database, the project in the address, and who is looking."""

from dataclasses import dataclass

import streamlit as st

from maploop.access import Grant, issue_token
from maploop.database import Database, open_database
from maploop.project import ProjectView, annotator_id, list_annotators, list_projects, load_project
from maploop.settings import get_settings


@dataclass(frozen=True)
class Context:
    """The project a page shows and the person it shows it to."""

    database: Database
    project: ProjectView
    annotator: str
    annotator_id: int

    @property
    def token(self) -> str:
        """Access to the project's pixels and decisions for the annotator, for an hour."""
        return issue_token(Grant(annotator_id=self.annotator_id, project_id=self.project.id))


def context() -> Context:
    """The page's context, as `pages/shell.py` put it together; ends the page with a hint when there is no project."""
    found = st.session_state.get("context")
    if not isinstance(found, Context):
        found = choose_context()
    if found is None:
        st.info("There is no project yet. Create one on the Import page.", icon=":material/add_circle:")
        st.stop()
    return found


def choose_context() -> Context | None:
    """The project that `?project=` names, or the first; the annotator picked in the sidebar, or the settings' user."""
    database = open_database()
    with database.read() as connection:
        names = list_projects(connection)
        known_annotators = list_annotators(connection)
        asked = st.query_params.get("project")
        name = asked if asked in names else (names[0] if names else None)
        project = load_project(connection, name) if name else None
    annotator = st.session_state.get("annotator") or get_settings().user
    with database.write() if annotator not in known_annotators else database.read() as connection:
        identifier = annotator_id(connection, annotator)
    return Context(database, project, annotator, identifier) if project else None
