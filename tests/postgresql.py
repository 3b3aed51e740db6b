"""A throw-away PostgreSQL cluster: one a test session, a fresh database a test, gone at the end."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg

UNPRIVILEGED_ACCOUNTS = ("postgres", "nobody")  # the server refuses to run as root
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}


def find_binaries() -> Path | None:
    """The folder that holds initdb and pg_ctl: from PATH, else the newest that Debian installed; None when absent."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


@dataclass
class Cluster:
    """A running server, reached over a Unix socket in `folder`."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://maploop@/{name}?host={quote(str(self.folder))}"

    def create(self, template: str = "template1") -> str:
        """Make a database, a copy of `template`, and answer its name."""
        name = f"maploop_{next(self._numbers)}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        with psycopg.connect(f"host={self.folder} user=maploop dbname=postgres", autocommit=True) as connection:
            connection.execute(statement.encode())


def _account() -> pwd.struct_passwd | None:
    """Whom to run the server as: nobody else unless this is root."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    msg = f"PostgreSQL does not run as root, and none of {UNPRIVILEGED_ACCOUNTS} exists: create one."
    raise RuntimeError(msg)


@contextmanager
def running_cluster(binaries: Path) -> Iterator[Cluster]:
    """Make a cluster in a temporary folder, start it, and stop and remove it in the end."""
    account = _account()
    # Not pytest's own folder: its path may be too long for a socket, and closed to the other account.
    folder = Path(tempfile.mkdtemp(prefix="maploop-postgresql-"))
    data, log = folder / "data", folder / "log"

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [binaries / program, *arguments],
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = log.read_text(errors="replace") if log.exists() else done.stdout
            msg = f"{program} failed: {reason}"
            raise RuntimeError(msg)

    try:
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        run("initdb", "--auth=trust", "--username=maploop", "--encoding=UTF8", "--no-sync", "--pgdata", str(data))
        options = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
        options += f" -c unix_socket_directories='{folder}'"
        run("pg_ctl", "start", "--wait", "--silent", "--pgdata", str(data), "--log", str(log), "--options", options)
        try:
            yield Cluster(folder)
        finally:
            run("pg_ctl", "stop", "--mode=immediate", "--silent", "--pgdata", str(data))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
