"""The table of records: predictions are digested as they are stored, undone imports noted, and all linked in a chain.

The tables are written out here, not taken from `db.models`: migrations use this too, whatever columns come later.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from db.chain import canonical
from db.types import BigKey, UtcTime, stored_now

_LOCK = 0x4D61706C6F6F72  # as db.chain's, another one
_SEED = hashlib.sha256(b"maploop records 1").digest()
_FACTS = ("project_id", "act", "annotator_id", "run_id", "import_id", "first_id", "last_id", "count", "digest")
_RECORD = sa.table(
    "record",
    sa.column("seq", BigKey),
    *(sa.column(name, sa.Text if name in ("act", "digest") else BigKey) for name in _FACTS),
    sa.column("stored_at", UtcTime),
    sa.column("link", sa.LargeBinary),
)
_SAID = ("id", "run_id", "feature_id", "class_id", "geometry", "score", "source_row", "properties", "remembered")
_PREDICTION = sa.table(
    "prediction",
    *(sa.column(name, sa.JSON if name == "properties" else None) for name in _SAID),
)


@dataclass(frozen=True)
class Said:
    """Digest of predictions: their number, and the SHA-256 over all of their columns."""

    count: int
    digest: str


def record_predictions(connection: Connection, project_id: int, run_id: int, first_id: int, last_id: int) -> None:
    """Record predictions that a run has just stored, in the transaction that did."""
    said = said_by(connection, run_id, first_id, last_id)
    _add(
        connection,
        project_id=project_id,
        act="predict",
        run_id=run_id,
        first_id=first_id,
        last_id=last_id,
        count=said.count,
        digest=said.digest,
    )


def record_undo(
    connection: Connection, project_id: int, import_id: int, annotator_id: int | None, moment: datetime
) -> None:
    """Record that an import was taken back, late in the transaction that does: others that record wait for it."""
    _add(
        connection,
        project_id=project_id,
        act="undo_import",
        import_id=import_id,
        annotator_id=annotator_id,
        moment=moment,
    )


def said_by(connection: Connection, run_id: int, first_id: int, last_id: int) -> Said:
    """Digest the predictions of a run between two ids, both included."""
    rows = connection.execute(
        sa.select(*_PREDICTION.c)
        .where(_PREDICTION.c.run_id == run_id, _PREDICTION.c.id.between(first_id, last_id))
        .order_by(_PREDICTION.c.id),
        execution_options={"yield_per": 5_000},
    )
    digest, count = hashlib.sha256(), 0
    for count, row in enumerate(rows, start=1):  # noqa: B007  the count goes on being used
        plain = [bytes(value).hex() if isinstance(value, bytes | memoryview) else value for value in row]
        digest.update(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    return Said(count, digest.hexdigest())


def broken_records(connection: Connection) -> Iterator[int]:
    """Records, by `seq`, whose link is not what the rows up to them make."""
    before = _SEED
    for row in connection.execute(sa.select(_RECORD).order_by(_RECORD.c.seq)).mappings():
        facts = {name: row[name] for name in (*_FACTS, "stored_at")}
        if _link(before, facts) != bytes(row["link"]):
            yield row["seq"]
        before = bytes(row["link"])


def _add(connection: Connection, moment: datetime | None = None, **facts: Any) -> None:
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    last = connection.execute(sa.select(_RECORD.c.link).order_by(_RECORD.c.seq.desc()).limit(1)).scalar()
    whole = {**dict.fromkeys(_FACTS), "count": 0, **facts, "stored_at": moment or stored_now()}
    link = _link(_SEED if last is None else bytes(last), whole)
    connection.execute(sa.insert(_RECORD).values(**whole, link=link))


def _link(before: bytes, facts: dict[str, Any]) -> bytes:
    return hashlib.sha256(before + canonical(facts)).digest()
