"""Transactions hold: all or nothing, one after another, and there when the block has ended, whatever happens next."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from db.engine import Database, connect
from db.errors import DatabaseError
from db.models import Annotator, Project, Tile
from db.shared import close_shared, shared
from db.types import utc_now
from maploop.database import open_database
from maploop.settings import get_settings


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(Annotator.name).order_by(Annotator.id)).scalars())


def add(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(insert(Annotator).values(name=name))


def test_a_write_is_seen_by_whoever_reads_next(database: Database) -> None:
    add(database, "anna")
    assert names(database) == ["anna"]


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    add(database, "anna")

    def add_two_and_fail() -> None:
        with database.write() as connection:
            connection.execute(insert(Annotator).values(name="bob"))
            connection.execute(insert(Annotator).values(name="anna"))

    with pytest.raises(IntegrityError):
        add_two_and_fail()
    assert names(database) == ["anna"]
    add(database, "carla")
    assert names(database) == ["anna", "carla"]


def test_a_read_sees_one_moment_from_the_first_query_to_the_last(database: Database) -> None:
    add(database, "anna")
    with database.read() as connection:
        before = connection.execute(select(func.count()).select_from(Annotator)).scalar_one()
        add(database, "bob")
        assert connection.execute(select(func.count()).select_from(Annotator)).scalar_one() == before
    assert names(database) == ["anna", "bob"]


def test_the_schema_refuses_what_refers_to_nothing(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(Tile).values(project_id=7, z=1, x=0, y=0, quadkey="0", shuffle=0.1, split="train"))


def test_the_schema_refuses_a_word_that_is_not_one_of_its_own(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(Project).values(id=1, name="Kampala", zoom=1, seed="s"))
    with pytest.raises(IntegrityError, match="ck_tile_split"), database.write() as connection:
        connection.execute(insert(Tile).values(project_id=1, z=1, x=0, y=0, quadkey="0", shuffle=0.1, split="holdout"))


def count_up(database: Database, steps: int) -> None:
    """Read a number and write the next one, each time in a transaction."""
    for _ in range(steps):
        with database.write() as connection:
            # The row is locked by reading it, as PostgreSQL needs to be told.
            value = connection.execute(select(Project.zoom).with_for_update()).scalar_one()
            connection.execute(update(Project).values(zoom=value + 1))


@pytest.mark.parametrize("apart", [False, True], ids=["one database", "a database each"])
def test_writers_that_count_up_never_lose_a_step(database: Database, database_url: str, apart: bool) -> None:
    with database.write() as connection:
        connection.execute(insert(Project).values(id=1, name="Kampala", zoom=0, seed="s"))
    databases = [connect(database_url) if apart else database for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count_up, databases, [10] * 4))
    with database.read() as connection:
        assert connection.execute(select(Project.zoom)).scalar_one() == 40
    for opened in databases:
        opened.close()


WRITER = """
import sys
from sqlalchemy import insert
from db.engine import connect
from db.models import Annotator

database = connect(sys.argv[1])
for number in range(int(sys.argv[3])):
    with database.write() as connection:
        connection.execute(insert(Annotator).values(name=f"{sys.argv[2]} {number}"))
    print(number, flush=True)
"""


def start_writer(url: str, name: str, count: int) -> "subprocess.Popen[str]":
    """A process that adds annotators and prints the number of each once its transaction has ended."""
    command = [sys.executable, "-c", WRITER, url, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_write_side_by_side(database: Database, database_url: str) -> None:
    writers = [start_writer(database_url, name, 25) for name in ("anna", "bob", "carla")]
    for writer in writers:
        _, complaints = writer.communicate(timeout=120)
        assert (writer.returncode, complaints) == (0, "")
    assert sorted(names(database)) == sorted(
        f"{name} {number}" for name in ("anna", "bob", "carla") for number in range(25)
    )


def test_what_was_written_survives_a_kill(database: Database, database_url: str) -> None:
    writer = start_writer(database_url, "anna", 1_000_000)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(20)]
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in writer.stdout.read().splitlines()]
    writer.communicate()
    kept = names(database)
    # The write that was under way when the process died may have made it, or not.
    assert len(kept) in (len(acknowledged), len(acknowledged) + 1)
    assert kept[: len(acknowledged)] == [f"anna {number}" for number in acknowledged]
    add(database, "bob")
    with database.read() as connection:
        if database.is_sqlite:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_a_writer_from_elsewhere_is_waited_for_and_then_given_up_on(sqlite_database: Database, sqlite_url: str) -> None:
    elsewhere = connect(sqlite_url)
    with sqlite_database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000
    with elsewhere.write() as holder:
        holder.execute(insert(Annotator).values(name="anna"))
        with pytest.raises(DatabaseError, match="is busy") as caught, sqlite_database.write(patience=0.05):
            pytest.fail("nobody may write while another does")
    assert caught.value.kind == "busy"
    assert names(sqlite_database) == ["anna"]
    elsewhere.close()


def test_threads_that_ask_at_once_share_one_database(sqlite_url: str) -> None:
    barrier = Barrier(8)

    def ask(_: int) -> Database:
        barrier.wait()
        return shared(sqlite_url)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(8)))
    assert all(database is found[0] for database in found)


def test_a_closed_database_is_opened_anew(sqlite_url: str) -> None:
    first = shared(sqlite_url)
    add(first, "anna")
    close_shared()
    assert shared(sqlite_url) is not first
    assert names(shared(sqlite_url)) == ["anna"]


def test_the_settings_name_the_database(database: Database) -> None:
    assert open_database() is database
    assert open_database(get_settings().database) is database


def test_times_are_set_by_themselves(database: Database) -> None:
    before = utc_now()
    add(database, "anna")
    with database.read() as connection:
        created = connection.execute(select(Annotator.created_at)).scalar_one()
    assert before <= created <= utc_now()
