"""What every page needs: the database, the project in the address, who is looking, and the line on top."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

import streamlit as st

from maploop.access import Grant, issue_token
from maploop.api.annotator import ASSETS, HEADER
from maploop.database import Database, open_database
from maploop.errors import InputError
from maploop.project import (
    ProjectView,
    annotator_id,
    check_annotator_name,
    list_annotators,
    list_projects,
    load_project,
)
from maploop.sample.seed import sample_progress
from maploop.settings import get_settings
from pages.links import FILES, PAGES, plain, spelled


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

    @property
    def tile_token(self) -> str:
        """Access to the project's pixels alone, for addresses."""
        return issue_token(Grant(annotator_id=self.annotator_id, project_id=self.project.id), scope="tiles")


def context() -> Context:
    """The page's context: project and person. Ends the page with a hint when there is no project."""
    found = choose_context()
    if found is None:
        _no_project()
        st.stop()
    return found


def current_annotator() -> str:
    """The person picked on this page, else the one that this browser tab works as, else the settings' user."""
    return str(st.session_state.get("annotator") or _annotator_of_tab() or get_settings().user)


def _annotator_of_tab() -> str:
    """The name that the browser keeps for the tab (maploop/api/annotator.py); empty when none, or no name at all."""
    try:
        return check_annotator_name(unquote(st.context.headers.get(HEADER, "")))
    except InputError:
        return ""


def keep_annotator() -> None:
    """Have the browser keep the current name for this tab: it outlives reloads, links and restarts of the app."""
    with st.container(key="tab_annotator"):
        st.html(
            f'<script src="{ASSETS}/keep_annotator.js" data-annotator="{spelled(current_annotator())}"></script>',
            unsafe_allow_javascript=True,
        )


def choose_context() -> Context | None:
    """The project that `?project=` names, or the one picked last, or the first; None when there is none."""
    database = open_database()
    annotator = current_annotator()
    with database.read() as connection:
        names = list_projects(connection)
        wanted = _wanted_projects()
        name = next((each for each in wanted if each in names), names[0] if names else None)
        project = load_project(connection, name) if name else None
        is_known = annotator in list_annotators(connection)
    if project is None:
        return None
    if wanted and wanted[0] not in names:
        st.warning(plain(f"There is no project {wanted[0]!r}: this is {project.name!r}."), icon=":material/search_off:")
    st.session_state["project"] = project.name
    st.query_params["project"] = project.name
    with database.read() if is_known else database.write() as connection:
        return Context(database, project, annotator, annotator_id(connection, annotator))


def _wanted_projects() -> list[str]:
    return [each for each in (st.query_params.get("project"), st.session_state.get("project")) if each]


def heading(title: str, found: Context) -> None:
    """The page's title, and beside it the project and person in force, to change them."""
    with _titled(title), st.popover(plain(f"{found.project.name} · {found.annotator}"), icon=":material/person:"):
        choose(found)


def heading_without_project(title: str) -> None:
    """The page's title while there is no project, and beside it the person, to change them."""
    with _titled(title), st.popover(plain(current_annotator()), icon=":material/person:"):
        choose_annotator(open_database(), current_annotator())


@contextmanager
def _titled(title: str) -> Iterator[None]:
    with st.container(horizontal=True, vertical_alignment="center", key="heading"):
        st.header(title, anchor=False)
        st.space("stretch")
        yield


def choose(found: Context) -> None:
    """Widgets that change the project and the person."""
    with found.database.read() as connection:
        projects = list_projects(connection)
    project = st.selectbox("Project", projects, index=projects.index(found.project.name), key="pick_project")
    choose_annotator(found.database, found.annotator)
    if project and project != found.project.name:
        st.query_params["project"] = project
        st.rerun()


def choose_annotator(database: Database, current: str) -> None:
    """The widget that changes the person; what is no name is refused where it was typed."""
    with database.read() as connection:
        annotators = sorted({*list_annotators(connection), current})
    annotator = st.selectbox(
        "Annotator",
        annotators,
        index=annotators.index(current),
        key="pick_annotator",
        accept_new_options=True,
        help="Several people may share this machine under different names: pick yours, or type a new one. This browser "
        "tab keeps it, and tabs opened later begin with it; a link carries it to nobody.",
    )
    if annotator and annotator != current:
        try:
            st.session_state["annotator"] = check_annotator_name(annotator)
        except InputError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        st.rerun()


@st.fragment(run_every=1.0)
def _await_sample() -> None:
    done = sample_progress()
    if done is None:
        st.rerun()
    st.progress(done.share, text=done.text)


def _no_project() -> None:
    heading_without_project("Maploop")
    progress = sample_progress()
    if progress is not None and progress.error is None:
        st.info("The sample project is being made: a small town with imagery, truth and a model's predictions.")
        _await_sample()
        return
    if progress is not None:
        st.error(plain(f"The sample project could not be made: {progress.error}"), icon=":material/error:")
    st.info("There is no project yet. Create one on the Import page.", icon=":material/add_circle:")
    if st.button("Create a project", type="primary", key="create_first"):
        st.switch_page(PAGES / FILES["import"])
