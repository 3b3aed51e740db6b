"""Group commit: jobs share a transaction, and one that fails takes back its own work only."""

from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from threading import Event

import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from db.engine import Database, connect
from db.errors import DatabaseError
from db.group import GroupWriter
from db.models import Annotator
from db.savepoint import savepoint


def naming(name: str, *, fails: bool = False) -> Callable[[Connection], str]:
    """A job that adds an annotator, and then may fail."""

    def job(connection: Connection) -> str:
        connection.execute(insert(Annotator).values(name=name))
        if fails:
            raise ValueError(name)
        return name

    return job


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(Annotator.name).order_by(Annotator.id)).scalars())


def test_a_job_that_fails_takes_back_its_own_work_only(database: Database) -> None:
    writer = GroupWriter(database)
    futures = [writer.submit(naming(name, fails=name == "bob")) for name in ("anna", "bob", "cleo")]
    wait(futures, timeout=30)
    with pytest.raises(ValueError, match="bob"):
        futures[1].result()
    assert names(database) == ["anna", "cleo"]
    writer.close()


def test_a_row_the_database_refuses_fails_alone_among_many(database: Database) -> None:
    writer = GroupWriter(database)
    futures = [writer.submit(naming(f"annotator {number % 30}")) for number in range(60)]
    done, _ = wait(futures, timeout=60)
    assert len(done) == 60
    assert sum(future.exception() is not None for future in futures) == 30
    assert len(names(database)) == 30
    writer.close()


def test_closing_finishes_what_was_submitted(database: Database) -> None:
    writer = GroupWriter(database)
    futures = [writer.submit(naming(f"annotator {number}")) for number in range(20)]
    writer.close()
    assert all(future.done() and future.exception() is None for future in futures)


def test_a_savepoint_that_a_group_is_spared_is_there_when_it_is_needed(database: Database) -> None:
    """One entry of a job is taken back, the job and the others of its group are stored, in one transaction."""
    writer = GroupWriter(database)
    begun, go_on = Event(), Event()

    def hold(_connection: Connection) -> None:
        begun.set()
        go_on.wait(30)

    def refuse_second(connection: Connection) -> list[str]:
        stored = []
        for name in ("carl", "anna", "dora"):
            with suppress(IntegrityError), savepoint(connection):
                connection.execute(insert(Annotator).values(name=name))
                stored.append(name)
        return stored

    with database.write() as connection:
        connection.execute(insert(Annotator).values(name="anna"))
    first = writer.submit(hold)
    begun.wait(30)
    bob, entries, emil = writer.submit(naming("bob")), writer.submit(refuse_second), writer.submit(naming("emil"))
    go_on.set()
    first.result(30)
    assert (bob.result(30), entries.result(30), emil.result(30)) == ("bob", ["carl", "dora"], "emil")
    assert sorted(names(database)) == ["anna", "bob", "carl", "dora", "emil"]
    writer.close()


def test_those_that_wait_for_a_lock_are_told_at_their_own_deadline_not_one_after_another(
    sqlite_database: Database, sqlite_url: str
) -> None:
    elsewhere = connect(sqlite_url)
    writer = GroupWriter(sqlite_database)
    with elsewhere.write() as holder:
        holder.execute(insert(Annotator).values(name="anna"))
        hasty = [writer.submit(naming(f"hasty {number}"), patience=0.3) for number in range(20)]
        patient = writer.submit(naming("patient"))
        # Were the timeout counted once for each of them, the twenty would take six seconds.
        done, late = wait(hasty, timeout=3)
        assert not late
        assert {getattr(each.exception(), "kind", None) for each in done} == {"busy"}
        assert not patient.done()
    assert patient.result(30) == "patient"
    assert names(sqlite_database) == ["anna", "patient"]
    writer.close()
    elsewhere.close()


def test_a_job_waits_no_longer_for_another_thread_than_for_another_process(sqlite_database: Database) -> None:
    writer = GroupWriter(sqlite_database)
    with sqlite_database.write() as holder:
        holder.execute(insert(Annotator).values(name="anna"))
        with pytest.raises(DatabaseError, match="is busy"):
            writer.submit(naming("bob"), patience=0.1).result(30)
    writer.close()


@pytest.mark.postgres
def test_a_job_that_waits_for_a_row_is_told_at_its_deadline_and_the_others_are_stored(postgresql_url: str) -> None:
    database, elsewhere = connect(postgresql_url), connect(postgresql_url)
    with database.write() as connection:
        connection.execute(insert(Annotator).values(name="anna"))
    writer = GroupWriter(database)
    begun = Event()

    def touch(connection: Connection) -> None:
        begun.set()
        connection.execute(select(Annotator.name).where(Annotator.name == "anna").with_for_update())

    with elsewhere.write() as holder:
        holder.execute(select(Annotator.name).where(Annotator.name == "anna").with_for_update())
        stuck, free = writer.submit(touch, patience=0.5), writer.submit(naming("bob"))
        with pytest.raises(DatabaseError, match="is busy"):
            stuck.result(30)
        assert begun.is_set()
        assert free.result(30) == "bob"
    assert names(database) == ["anna", "bob"]
    writer.close()
    database.close()
    elsewhere.close()
