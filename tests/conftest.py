"""What every test has: a clean environment, no network, a database of either kind, the Kampala tiles."""

import ipaddress
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from db.engine import Database, connect
from db.shared import close_shared, shared
from db.upgrade import upgrade
from maploop.settings import get_settings
from tests.postgresql import Cluster, find_binaries, running_cluster

DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))
CLEARED_PREFIXES = ("MAPLOOP_", "OPENAI_", "AZURE_OPENAI_", "STREAMLIT_")
# Keys of the tests, and the servers they may be sent to.
KEYS = (
    "TOWN_KEY=127.0.0.1, OTHER_KEY=127.0.0.1, EXAMPLE_KEY=models.example, "
    "VENDOR_KEY=127.0.0.1, VENDOR_KEY=localhost, VENDOR_KEY=api.openai.com, VENDOR_KEY=us.openai.azure.com"
)
CLEARED_SUFFIXES = ("_PROXY",)

# A slow machine is no reason to fail; the same examples for everybody when CI runs.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("default"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def absent(what: str) -> None:
    """End a test that needs `what`: skipped on somebody's machine, failed in CI, where everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI runs every test: see .ci/run.", pytrace=False)
    pytest.skip(f"{what} is missing; .ci/run installs it.")


def _is_local(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(name).split("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: whatever Python code opens a connection or looks up a name beyond this machine fails its test."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if not _is_local(host):
        pytest.fail(f"A test reached for {host!r}: tests talk to this machine only.")


def pytest_sessionstart() -> None:
    """Close the network for good: nothing that tests do needs it."""
    sys.addaudithook(_refuse_network)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings, keys or proxies from outside; a data folder of the test's own; nothing kept from the last test."""
    for name in os.environ:
        if name.upper().startswith(CLEARED_PREFIXES) or name.upper().endswith(CLEARED_SUFFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MAPLOOP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MAPLOOP_KEYS", KEYS)
    get_settings.cache_clear()
    yield
    close_shared()
    get_settings.cache_clear()


@pytest.fixture(autouse=True)
def same_main_module() -> Iterator[None]:
    """A page's test leaves the page as `__main__`, which processes that later tests spawn would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server of this session's own; see `absent` for when there is no such thing here."""
    binaries = find_binaries()
    if binaries is None:
        absent("PostgreSQL's server (initdb)")
    else:
        with running_cluster(binaries) as cluster:
            yield cluster


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Cluster) -> str:
    """The name of a database with the schema of today, to be copied."""
    name = postgresql.create()
    database = connect(postgresql.url(name))
    upgrade(database)
    database.close()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the schema of today, to be copied."""
    path = tmp_path_factory.mktemp("template") / "maploop.sqlite"
    database = connect(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """The URL of an empty SQLite database, where the settings look for it."""
    path = tmp_path / "data" / "maploop.sqlite"
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgresql: Cluster, postgresql_template: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    name = postgresql.create(postgresql_template)
    yield postgresql.url(name)
    postgresql.drop(name)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty database with today's schema, of each kind in turn; the settings name it too."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    monkeypatch.setenv("MAPLOOP_DATABASE_URL", url)
    get_settings.cache_clear()
    return url


@pytest.fixture
def database(database_url: str) -> Database:
    """An empty database with today's schema, of each kind in turn: the one that `open_database` answers, too."""
    return shared(database_url)


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Database:
    """An empty SQLite database with today's schema: the one that `open_database` answers, too."""
    return shared(sqlite_url)


@pytest.fixture(scope="session")
def kampala(pytestconfig: pytest.Config) -> Path:
    """The folder with the Kampala tiles and outlines, which cannot be shipped."""
    folder = pytestconfig.rootpath.parent / "shared" / "data" / "kampala"
    if not folder.is_dir():
        pytest.skip(f"The Kampala data is not at {folder}.")
    return folder
