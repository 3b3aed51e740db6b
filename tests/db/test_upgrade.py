"""A database comes up to date by itself, after a backup; one that is not ours, or is newer, is left as it was."""

import hashlib
import multiprocessing
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, make_url, text

import db.upgrade
from db.engine import Database, connect
from db.errors import DatabaseError
from db.models import Base
from db.shared import shared
from db.store_file import APPLICATION_ID
from db.upgrade import known_revisions, upgrade
from maploop import errors
from maploop.database import open_database
from tests.db.conftest import add_one_of_each

LATER = '''"""What a later version brings"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{down_revision}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("annotator") as batch_op:
        batch_op.add_column(sa.Column("email", sa.Text(), nullable=True))
    {then}
'''

MakeVersion = Callable[..., str]


@pytest.fixture
def make_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeVersion:
    """Make this version of Maploop one that knows a revision more; answers that revision."""

    def make(then: str = "") -> str:
        latest = known_revisions()[-1]
        revision = f"{int(latest) + 1:04}"
        migrations = tmp_path / "migrations"
        versions = migrations / "versions"
        versions.mkdir(parents=True)
        original = db.upgrade.MIGRATIONS
        for path in original.glob("*.py"):
            (migrations / path.name).write_bytes(path.read_bytes())
        for path in (original / "versions").glob("*.py"):
            # Where a migration finds its SQL depends on where it lies.
            source = path.read_text(encoding="utf-8").replace("Path(__file__)", f"Path({str(path)!r})")
            (versions / path.name).write_text(source, encoding="utf-8")
        later = LATER.format(revision=revision, down_revision=latest, then=then)
        (versions / f"{revision}_later.py").write_text(later, encoding="utf-8")
        monkeypatch.setattr(db.upgrade, "MIGRATIONS", migrations)
        return revision

    return make


def revision_of(database: Database) -> str | None:
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def columns_of(database: Database, table: str) -> set[str]:
    with database.read() as connection:
        return {column["name"] for column in inspect(connection).get_columns(table)}


def backups_beside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.stem}-backup-*"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_blank_database_gets_the_schema_that_the_models_describe(blank: Database) -> None:
    assert upgrade(blank) is None
    with blank.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert revision_of(blank) == known_revisions()[-1]


def test_the_checks_are_those_that_the_models_describe(sqlite_database: Database) -> None:
    with sqlite_database.read() as connection:
        for table in Base.metadata.sorted_tables:
            found = {
                (check["name"], check["sqltext"]) for check in inspect(connection).get_check_constraints(table.name)
            }
            checks = (constraint for constraint in table.constraints if isinstance(constraint, CheckConstraint))
            assert found == {(check.name, str(check.sqltext)) for check in checks}, table.name


def test_upgrading_again_changes_nothing(blank: Database, tmp_path: Path) -> None:
    upgrade(blank)
    assert upgrade(blank) is None
    assert list(tmp_path.glob("*backup*")) == []


def test_an_older_sqlite_database_is_copied_and_then_upgraded(
    sqlite_database: Database, make_version: MakeVersion
) -> None:
    with sqlite_database.write() as connection:
        add_one_of_each(connection)
    before = revision_of(sqlite_database)
    later = make_version()

    backup = upgrade(sqlite_database)

    assert backup is not None
    assert backup.parent == Path(str(sqlite_database.engine.url.database)).parent
    assert f"-backup-{before}-" in backup.name
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(before,)]
        assert copy.execute("SELECT verdict FROM decision").fetchall() == [("accept",)]
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert revision_of(sqlite_database) == later
    assert "email" in columns_of(sqlite_database, "annotator")
    with sqlite_database.read() as connection:
        assert connection.execute(text("SELECT name FROM annotator")).scalars().all() == ["anna"]
        assert connection.execute(text("SELECT verdict FROM decision")).scalars().all() == ["accept"]


@pytest.mark.postgres
def test_an_older_postgresql_database_is_upgraded(postgresql_url: str, make_version: MakeVersion) -> None:
    database = shared(postgresql_url)
    with database.write() as connection:
        add_one_of_each(connection)
    later = make_version()
    assert upgrade(database) is None
    assert revision_of(database) == later
    assert "email" in columns_of(database, "annotator")


def test_an_upgrade_that_fails_halfway_leaves_everything_as_it_was(
    database: Database, make_version: MakeVersion
) -> None:
    with database.write() as connection:
        add_one_of_each(connection)
    before = revision_of(database)
    make_version(then='op.execute("INSERT INTO no_such_table VALUES (1)")')
    with pytest.raises(DatabaseError, match=r"failed and changed nothing: .*no_such_table"):
        upgrade(database)
    assert revision_of(database) == before
    assert "email" not in columns_of(database, "annotator")
    with database.read() as connection:
        assert connection.execute(text("SELECT verdict FROM decision")).scalars().all() == ["accept"]


def test_a_newer_database_is_refused_and_left_as_it_was(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"is at revision 9999, this version knows up to \d+: upgrade Maploop"):
        upgrade(database)
    assert revision_of(database) == "9999"


def test_a_database_of_something_else_is_refused(blank: Database) -> None:
    with blank.write() as connection:
        connection.execute(text("CREATE TABLE recipe (id INTEGER PRIMARY KEY)"))
    with pytest.raises(DatabaseError, match="holds tables that Maploop did not make"):
        upgrade(blank)
    with blank.read() as connection:
        assert inspect(connection).get_table_names() == ["recipe"]


def test_a_file_of_something_else_stays_as_it_was_to_the_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "recipes.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipe (id INTEGER PRIMARY KEY)")
    before = digest(path)
    with pytest.raises(errors.DatabaseError, match="holds tables that Maploop did not make"):
        open_database(f"sqlite:///{path}")
    assert digest(path) == before
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["recipes.sqlite"]


def test_a_database_keeps_a_write_ahead_log_and_flushes_every_commit(sqlite_database: Database) -> None:
    with sqlite_database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n" + bytes(5000), b"name,age\nanna,7\n" * 300, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "holiday.sqlite"
    path.write_bytes(content)
    before = digest(path)
    with pytest.raises(errors.DatabaseError, match=r"holiday\.sqlite"):
        open_database(f"sqlite:///{path}")
    assert digest(path) == before
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["holiday.sqlite"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not a url", "'not a url' is not a database URL"),
        ("mysql://root@localhost/maps", "'mysql' databases are not supported: use sqlite or postgresql"),
        ("sqlite://", "in memory would lose every decision"),
        ("sqlite:///:memory:", "in memory would lose every decision"),
        ("postgresql://nobody:secret@127.0.0.1:1/maps", "Cannot open the database"),
        ("sqlite:////proc/nowhere/maploop.sqlite", "Cannot open the database"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_in_one_line(url: str, message: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        connect(url)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def _upgrade_at_once(
    url: str,
    migrations: Path,
    barrier: "multiprocessing.synchronize.Barrier",
    answers: "multiprocessing.Queue[str]",
) -> None:
    db.upgrade.MIGRATIONS = migrations
    database = connect(url)
    barrier.wait(30)
    try:
        upgrade(database)
    except DatabaseError as error:
        answers.put(str(error))
    else:
        answers.put("ok")
    database.close()


def upgrade_in_processes(url: str, count: int = 3) -> list[str]:
    """Start processes that upgrade at the same moment; what each of them says."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(count), context.Queue()
    arguments = (url, db.upgrade.MIGRATIONS, barrier, answers)
    processes = [context.Process(target=_upgrade_at_once, args=arguments) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * count
    return [answers.get(timeout=1) for _ in processes]


def test_processes_that_start_at_once_make_the_schema_once(blank: Database, blank_url: str) -> None:
    assert upgrade_in_processes(blank_url) == ["ok"] * 3
    assert revision_of(blank) == known_revisions()[-1]


def test_of_two_processes_that_mark_a_blank_file_the_first_draws_its_number(tmp_path: Path) -> None:
    path = tmp_path / "blank.sqlite"

    class Slower(sqlite3.Connection):
        """Asks for its turn to write right before the faster process commits."""

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith("BEGIN"):
                faster.commit()
            return super().execute(sql, *parameters)

    with closing(sqlite3.connect(path)) as faster, closing(sqlite3.connect(path, factory=Slower)) as slower:
        faster.execute("BEGIN IMMEDIATE")
        faster.execute(f"PRAGMA application_id={APPLICATION_ID}")
        faster.execute("PRAGMA user_version=7")
        db.upgrade._mark(slower)
        assert slower.execute("PRAGMA user_version").fetchone() == (7,)


def test_processes_that_start_at_once_upgrade_and_back_up_once(
    database: Database, database_url: str, make_version: MakeVersion
) -> None:
    before = revision_of(database)
    later = make_version()
    assert upgrade_in_processes(database_url) == ["ok"] * 3
    assert revision_of(database) == later
    if database.is_sqlite:
        (backup,) = backups_beside(Path(str(database.engine.url.database)))
        with closing(sqlite3.connect(backup)) as copy:
            assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(before,)]


def test_without_room_for_a_backup_nothing_is_upgraded(
    sqlite_database: Database, make_version: MakeVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = revision_of(sqlite_database)
    make_version()
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(
        DatabaseError, match=r"No room to back up .*maploop\.sqlite before upgrading it: free [\d,]+ bytes"
    ):
        upgrade(sqlite_database)
    assert revision_of(sqlite_database) == before
    assert backups_beside(Path(str(sqlite_database.engine.url.database))) == []


def test_the_password_is_never_shown(postgresql_url: str) -> None:
    address = make_url(postgresql_url).set(password="secret", database="no_such_database")
    with pytest.raises(DatabaseError) as caught:
        connect(address.render_as_string(hide_password=False))
    assert "no_such_database" in str(caught.value)
    assert "secret" not in str(caught.value)
