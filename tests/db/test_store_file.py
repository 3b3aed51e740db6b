"""The file under a running database: when it is removed, replaced or overwritten, nothing counts as stored any more."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, insert, select

from db.engine import Database, connect
from db.errors import DatabaseError
from db.group import GroupWriter
from db.models import Annotator
from db.upgrade import upgrade


def path_of(database: Database) -> Path:
    return Path(str(database.engine.url.database))


def add(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(insert(Annotator).values(name=name))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(Annotator.name).order_by(Annotator.id)).scalars())


def remove(path: Path) -> None:
    path.unlink()


def remove_all(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()


def remove_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def remove_index_of_log(path: Path) -> None:
    path.with_name(f"{path.name}-shm").unlink()


def other_store(path: Path) -> Path:
    """A database of Maploop's that is not this one."""
    other = path.with_name("other.sqlite")
    database = connect(f"sqlite:///{other}")
    upgrade(database)
    add(database, "somebody else")
    database.close()
    return other


def replace(path: Path) -> None:
    other_store(path).replace(path)


def overwrite(path: Path) -> None:
    shutil.copyfile(other_store(path), path)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def scribble(path: Path) -> None:
    path.write_bytes(b"notes\n" * 1000)


ATTACKS = [remove, remove_all, remove_log, remove_index_of_log, replace, overwrite, empty, scribble]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_is_stored_in_a_file_that_is_not_the_one_that_was_opened(
    sqlite_database: Database, attack: Callable[[Path], None]
) -> None:
    add(sqlite_database, "anna")
    writer = GroupWriter(sqlite_database)
    attack(path_of(sqlite_database))
    with pytest.raises(DatabaseError, match=r"is gone.*restore a backup") as caught:
        writer.submit(lambda connection: connection.execute(insert(Annotator).values(name="bob"))).result(30)
    assert caught.value.kind == "gone"
    with pytest.raises(DatabaseError, match="is gone"):
        names(sqlite_database)
    writer.close()


@pytest.mark.parametrize("attack", [remove, replace, overwrite])
def test_what_was_written_into_a_file_that_went_away_meanwhile_is_not_called_stored(
    sqlite_database: Database, attack: Callable[[Path], None]
) -> None:
    def write_while_it_goes() -> None:
        with sqlite_database.write() as connection:
            connection.execute(insert(Annotator).values(name="anna"))
            attack(path_of(sqlite_database))

    with pytest.raises(DatabaseError, match="is gone"):
        write_while_it_goes()


def test_a_file_that_is_brought_back_is_written_to_again(sqlite_database: Database) -> None:
    path = path_of(sqlite_database)
    away = path.rename(path.with_name("away.sqlite"))
    with pytest.raises(DatabaseError, match="is not there any more"):
        add(sqlite_database, "anna")
    assert not path.exists()
    away.rename(path)
    add(sqlite_database, "anna")
    assert names(sqlite_database) == ["anna"]


def test_a_copy_of_another_project_has_another_number(sqlite_database: Database, tmp_path: Path) -> None:
    other = connect(f"sqlite:///{other_store(tmp_path / 'maploop.sqlite')}")
    numbers = []
    for database in (sqlite_database, other):
        with database.read() as connection:
            numbers.append(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
            assert connection.exec_driver_sql("PRAGMA application_id").scalar_one() == int.from_bytes(b"MAPL", "big")
    assert 0 < numbers[0] != numbers[1] > 0
    other.close()


def on_every_connection(database: Database, pragma: str) -> None:
    @event.listens_for(database.engine, "checkout")
    def _checkout(connection: object, *_: object) -> None:
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pragma", "kind", "words"),
    [("max_page_count=1", "full", "Free some space"), ("query_only=1", "read_only", "let this account write to it")],
)
def test_a_disk_that_is_full_or_read_only_is_told_apart(
    sqlite_database: Database, caplog: pytest.LogCaptureFixture, pragma: str, kind: str, words: str
) -> None:
    on_every_connection(sqlite_database, pragma)
    with pytest.raises(DatabaseError, match=words) as caught:
        add(sqlite_database, "anna" * 100_000)
    assert caught.value.kind == kind
    assert f"{kind}: The database" in caplog.text


def test_a_damaged_file_is_told_apart(sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    database = connect(sqlite_url)
    add(database, "anna")
    database.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    with pytest.raises(DatabaseError, match="maploop restore") as caught:
        names(connect(sqlite_url))
    assert caught.value.kind == "damaged"
