"""The app as a newcomer meets it: started by the README's command, killed, started again, and all on this machine."""

import httpx
from playwright.sync_api import Page, expect

from db.engine import connect
from maploop.project import list_projects
from tests.browser.conftest import AppServer, AppServers, Record


def test_the_first_page_opens_without_a_project(app_server: AppServer, page: Page, record: Record) -> None:
    page.goto(app_server.url)
    expect(page.get_by_text("There is no project yet")).to_be_visible()
    assert record.page_errors == []


def test_the_app_comes_back_after_a_kill(app_server: AppServer, page: Page) -> None:
    page.goto(app_server.url)
    expect(page.get_by_text("There is no project yet")).to_be_visible()
    app_server.restart()
    page.goto(app_server.url)
    expect(page.get_by_text("There is no project yet")).to_be_visible()


def test_only_this_machine_is_listened_to(app_server: AppServer) -> None:
    host = {"Host": "maps.example.org", "Origin": "http://maps.example.org"}
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "bWFwbG9vcG1hcGxvb3AxMg=="}
    answer = httpx.get(f"{app_server.url}/_stcore/stream", headers=host | upgrade | key)
    assert answer.status_code == 403


def test_a_first_start_makes_the_sample_project_and_then_shows_it(
    app_servers: AppServers, page: Page, record: Record
) -> None:
    server = app_servers.start(MAPLOOP_SAMPLE="1")
    page.goto(server.url)
    expect(page.locator(".st-key-next")).to_be_visible(timeout=600_000)
    database = connect(f"sqlite:///{server.data / 'maploop.sqlite'}")
    with database.read() as connection:
        assert len(list_projects(connection)) == 1
    database.close()
    assert record.page_errors == []
