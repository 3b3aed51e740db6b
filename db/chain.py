"""A hash chain over decisions and tile events: each link's digest covers its row and the digest before.

Rows are linked by the transaction that adds them, right before it commits (`Database.write`). A row that was changed,
removed or slipped in past Maploop is found by computing the digests again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from db.models.store import CHAINED

SQL = Path(__file__).parent / "sql"
_SEED = hashlib.sha256(b"maploop chain 1").digest()
_LOCK = 0x4D61706C6F6F71  # as db.upgrade.UPGRADE_LOCK
_PART = 5_000  # links looked at at once
_ROWS = {kind: (SQL / f"chained_{kind}.sql").read_text(encoding="utf-8") for kind in CHAINED}

# The rows of a transaction that is still under way are seen by nobody else: those in progress are its own. On SQLite,
# where one writes at a time, its own are all that came after it began.
_IN_PROGRESS = """ AND pg_xact_status(
    (((pg_current_xact_id()::text::bigint >> 32) << 32) | entry.xmin::text::bigint)::text::xid8) = 'in progress'"""
_SQLITE_MARKS = "SELECT (SELECT max(seq) FROM decision), (SELECT max(seq) FROM tile_event)"
_POSTGRESQL_MARKS = """SELECT CASE WHEN d.is_called THEN d.last_value ELSE d.last_value - 1 END,
    CASE WHEN e.is_called THEN e.last_value ELSE e.last_value - 1 END
    FROM decision_seq_seq AS d, tile_event_seq_seq AS e"""
_HEAD = "SELECT position, digest FROM chain_link ORDER BY position DESC LIMIT 1"

Marks = tuple[int, ...]


@dataclass(frozen=True)
class Head:
    """The end of the chain: how many links there are, and the digest of the last."""

    position: int = 0
    digest: bytes = _SEED


@dataclass(frozen=True)
class Break:
    """The first place where history is not what was stored: a row by its table and `seq`, and what is wrong with it."""

    table: str
    seq: int
    reason: str
    position: int | None = None


def marks_of(connection: Connection) -> Marks:
    """The numbers above which rows are new, a table each: to be asked for when a write transaction begins."""
    is_sqlite = connection.dialect.name == "sqlite"
    (row,) = _query(connection, _SQLITE_MARKS if is_sqlite else _POSTGRESQL_MARKS).fetchall()
    return tuple(each or 0 for each in row)


def link_new(connection: Connection, marks: Marks) -> None:
    """Append the rows that this transaction has added since `marks`; others that append wait until it has ended."""
    is_sqlite = connection.dialect.name == "sqlite"
    now = marks_of(connection) if is_sqlite else (None,) * len(marks)
    head: Head | None = None
    for kind, mark, reached in zip(CHAINED, marks, now, strict=True):
        last, is_more = mark, mark != reached
        while is_more:  # in parts: an import adds hundreds of thousands
            where = f" WHERE entry.seq > {int(last)} " + ("" if is_sqlite else _IN_PROGRESS)
            part = [(kind, row) for row in _rows(connection, kind, f"{where} ORDER BY entry.seq LIMIT {_PART}")]
            is_more = len(part) == _PART
            if part:
                head = _append(connection, part, head)
                last = part[-1][1]["seq"]


def link_all(connection: Connection) -> None:
    """Append every row, in the order of their times: for history from before there was a chain."""
    marks: list[tuple[Any, str, int]] = []
    for kind in CHAINED:
        rows = connection.exec_driver_sql(f"SELECT stored_at, seq FROM {kind} ORDER BY seq")  # noqa: S608  own names
        marks += [(row[0], kind, row[1]) for row in rows]
    head: Head | None = None
    marks.sort(key=lambda mark: (str(mark[0]), mark[1], mark[2]))
    for start in range(0, len(marks), _PART):
        part = [(kind, seq) for _, kind, seq in marks[start : start + _PART]]
        rows_of = _rows_named(connection, part)
        head = _append(connection, [(kind, rows_of[kind, seq]) for kind, seq in part], head)


def head_of(connection: Connection) -> Head:
    """The end of the chain."""
    row = _query(connection, _HEAD).fetchone()
    return Head() if row is None else Head(row[0], bytes(row[1]))


def find_break(connection: Connection, progress: Callable[[int], None] | None = None) -> Break | None:
    """The first break of the chain, or a row that no link names; None when history is whole."""
    before = Head()
    for part in _links(connection):
        rows_of = _rows_named(connection, [(kind, seq) for _, kind, seq, _ in part])
        for position, kind, seq, digest in part:
            if position != before.position + 1:
                missing = before.position + 1
                return Break("chain_link", missing, f"link {missing} of the chain is missing", missing)
            entry = rows_of.get((kind, seq))
            if entry is None:
                return Break(kind, seq, "it was removed", position)
            if _digest(before.digest, kind, entry) != digest:
                return Break(kind, seq, "it, or a name it rests on, was changed after it was stored", position)
            before = Head(position, digest)
        if progress is not None:
            progress(before.position)
    for kind in CHAINED:
        row = connection.exec_driver_sql(
            f"SELECT min(seq) FROM {kind} AS entry WHERE NOT EXISTS "  # noqa: S608  own names
            f"(SELECT 1 FROM chain_link WHERE kind = '{kind}' AND seq = entry.seq)"
        ).one()
        if row[0] is not None:
            return Break(kind, row[0], "it was added past Maploop, which did not link it")
    return None


def _links(connection: Connection) -> Iterator[list[tuple[int, str, int, bytes]]]:
    last = 0
    while True:
        rows = connection.exec_driver_sql(
            f"SELECT position, kind, seq, digest FROM chain_link WHERE position > {last} "  # noqa: S608  a number
            f"ORDER BY position LIMIT {_PART}"
        ).all()
        if not rows:
            return
        yield [(row[0], row[1], row[2], bytes(row[3])) for row in rows]
        last = rows[-1][0]


def _rows_named(connection: Connection, names: list[tuple[str, int]]) -> dict[tuple[str, int], dict[str, Any]]:
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for kind in CHAINED:
        numbers = [seq for of, seq in names if of == kind]
        if numbers:
            listed = ", ".join(str(int(seq)) for seq in numbers)
            for row in _rows(connection, kind, f" WHERE entry.seq IN ({listed})"):
                found[kind, row["seq"]] = row
    return found


def _rows(connection: Connection, kind: str, where: str) -> Iterator[dict[str, Any]]:
    """Rows as the driver gives them, with the names that they rest on: no type of ours may change what is hashed."""
    answer = _query(connection, _ROWS[kind] + where)
    names = [column[0] for column in answer.description]
    return (dict(zip(names, row, strict=True)) for row in answer)


def _query(connection: Connection, statement: str) -> Any:
    """The driver's own cursor: this happens with every write, and SQLAlchemy's takes ten times as long."""
    cursor = connection.connection.cursor()
    cursor.execute(statement)
    return cursor


def _append(connection: Connection, rows: list[tuple[str, dict[str, Any]]], head: Head | None) -> Head:
    """Link rows behind `head`, or behind the end of the chain, which nobody else appends to from then on."""
    is_sqlite = connection.dialect.name == "sqlite"
    if head is None:
        if not is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        head = head_of(connection)
    links = []
    for kind, row in rows:
        head = Head(head.position + 1, _digest(head.digest, kind, row))
        links.append((head.position, kind, row["seq"], head.digest))
    marks = "?, ?, ?, ?" if is_sqlite else "%s, %s, %s, %s"
    statement = f"INSERT INTO chain_link (position, kind, seq, digest) VALUES ({marks})"  # noqa: S608  question marks
    connection.connection.cursor().executemany(statement, links)
    return head


def _digest(before: bytes, kind: str, row: dict[str, Any]) -> bytes:
    return hashlib.sha256(before + kind.encode() + b"\0" + canonical(row)).digest()


def canonical(row: dict[str, Any]) -> bytes:
    """A row as bytes, the same on SQLite and PostgreSQL: JSON with sorted keys, without the columns that are empty.

    A column that a later version adds is empty in the rows that there are, and leaves their digests as they were.
    """
    plain = {name: _plain(value) for name, value in row.items() if value is not None}
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, datetime):  # as SQLite keeps it, by db.types.UtcTime
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return value
