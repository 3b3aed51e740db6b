"""The app as the README starts it, and a real Chromium that remembers everything it asked for."""

import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, Playwright, Request, expect, sync_playwright

from bench.server import App, free_port, start
from tests.conftest import absent

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 120_000  # a busy machine is slow; what never comes fails all the same
HAS_FAILED = pytest.StashKey[bool]()
LOCAL_HOSTS = {"127.0.0.1", "localhost"}


@dataclass
class AppServer:
    """The app on a port and a data folder that outlive its process."""

    data: Path
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    _app: App | None = None

    @property
    def url(self) -> str:
        """The address of the overview page, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the app and wait until it answers."""
        self._app = start(self.data, self.port, self.settings)

    def kill(self) -> None:
        """SIGKILL: no goodbye, nothing flushed."""
        if self._app is not None:
            self._app.kill()
            self._app = None

    def restart(self) -> None:
        """Kill the app and start it again on the same port and data."""
        self.kill()
        self.start()

    def log_text(self) -> str:
        """Everything the app printed so far."""
        log = self.data / "server.log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


class AppServers:
    """Starts apps for a test and ends them after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[AppServer] = []

    def start(self, **settings: str) -> AppServer:
        """A running app with a data folder of its own, with `settings` such as MAPLOOP_SAMPLE="0"."""
        server = AppServer(self.folder / f"app{len(self.started)}", {"MAPLOOP_USER": "anna", **settings})
        self.started.append(server)
        server.start()
        return server

    def close(self) -> None:
        """End them all."""
        for server in self.started:
            server.kill()


@pytest.fixture
def app_servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AppServers]:
    """Starts apps with settings of the test's choice; their logs are shown when the test fails."""
    servers = AppServers(tmp_path)
    yield servers
    servers.close()
    for number, server in enumerate(servers.started):
        request.node.add_report_section("teardown", f"log of app {number}", server.log_text())


@pytest.fixture
def app_server(app_servers: AppServers) -> AppServer:
    """The app without the sample project: projects are the test's own."""
    return app_servers.start(MAPLOOP_SAMPLE="0")


@pytest.fixture
def sample_server(app_servers: AppServers) -> AppServer:
    """The app on its first start: it makes the sample project."""
    return app_servers.start(MAPLOOP_SAMPLE="1")


expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver, once a session."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Debian's Chromium; see `absent` for when there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        absent("Chromium")
    else:
        driver: Playwright = request.getfixturevalue("playwright")
        browser = driver.chromium.launch(executable_path=executable, headless=True, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Record:
    """What a page asked for and complained about."""

    requests: list[str] = field(default_factory=list)
    console_errors: list[str] = field(default_factory=list)
    page_errors: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Write down what happens on the page, in its frames and sockets."""
        page.on("request", self._request)
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        page.on(
            "console", lambda message: self.console_errors.append(message.text) if message.type == "error" else None
        )

    @property
    def policy_violations(self) -> list[str]:
        """What the page's Content-Security-Policy kept it from."""
        return [each for each in self.console_errors if "Content Security Policy" in each]

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    @property
    def foreign_requests(self) -> list[str]:
        """Addresses beyond this machine; addresses without a host (data:, blob:) never leave it."""
        return [url for url in self.requests if (urlsplit(url).hostname or "127.0.0.1") not in LOCAL_HOSTS]


def until_at_rest(page: Page) -> None:
    """Wait until Streamlit has run the page to its end, and drawn what came of it."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")


def text_of(page: Page) -> str:
    """What a person would read on a page now, the beginning of it."""
    try:
        return page.locator("body").inner_text(timeout=5_000)[:5_000]
    except Error as error:
        return f"not there any more: {error.message}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for its page to be told of."""
    report = yield
    item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed
    return report


@pytest.fixture
def record() -> Record:
    """What `page` asked for and complained about."""
    return Record()


@pytest.fixture
def page(chromium: Browser, record: Record, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh page of 1280 x 800.

    Fails its test in the end when anything was asked of another machine, or broke the Content-Security-Policy.
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    record.watch(opened)
    yield opened
    told = {"console errors": "\n".join(record.console_errors), "page errors": "\n".join(record.page_errors)}
    if request.node.stash.get(HAS_FAILED, False):
        told["page"] = text_of(opened)
    context.close()
    for title, text in told.items():
        if text:
            request.node.add_report_section("teardown", title, text)
    assert record.foreign_requests == []
    assert record.policy_violations == []
