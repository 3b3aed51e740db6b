"""Group commit: jobs share a transaction, and one that fails takes back its own work only."""

from collections.abc import Callable
from concurrent.futures import wait

import pytest
from sqlalchemy import Connection, insert, select

from db.engine import Database
from db.group import GroupWriter
from db.models import Annotator


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
