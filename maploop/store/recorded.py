"""Compares predictions and undone imports with their records, one record at a time."""

from collections.abc import Iterator

from sqlalchemy import Connection, and_, func, or_, select

from db.models import Import, Prediction, Record, Run
from db.records import broken_records, said_by
from maploop.store.derived import Difference


def differing_records(connection: Connection) -> Iterator[Difference]:
    """Predictions that are not as stored; imports and runs taken back that nobody took back, or the reverse."""
    for seq in broken_records(connection):
        yield Difference("record", seq, "link", "another", "what the records up to it make")
    yield from _predictions(connection)
    yield from _imports(connection)
    yield from _runs(connection)


def _predictions(connection: Connection) -> Iterator[Difference]:
    records = connection.execute(
        select(Record.run_id, Record.first_id, Record.last_id, Record.count, Record.digest)
        .where(Record.act == "predict")
        .order_by(Record.seq)
    ).all()
    for run_id, first_id, last_id, count, digest in records:
        said = said_by(connection, run_id or 0, first_id or 0, last_id or 0)
        if said.count != count:
            yield Difference("prediction", f"{first_id} to {last_id}", "count", said.count, count)
        elif said.digest != digest:
            yield Difference("prediction", f"{first_id} to {last_id}", "digest", said.digest, digest)
    there = select(Prediction.run_id, func.count().label("count")).group_by(Prediction.run_id).subquery()
    known = (
        select(Record.run_id, func.sum(Record.count).label("count"))
        .where(Record.act == "predict")
        .group_by(Record.run_id)
        .subquery()
    )
    query = (
        select(there.c.run_id, there.c.count, func.coalesce(known.c.count, 0).label("known"))
        .outerjoin(known, known.c.run_id == there.c.run_id)
        .where(there.c.count > func.coalesce(known.c.count, 0))
        .order_by(there.c.run_id)
    )
    for row in connection.execute(query):
        yield Difference("run", row.run_id, "predictions", row[1], int(row.known))


def _imports(connection: Connection) -> Iterator[Difference]:
    undone = and_(Record.import_id == Import.id, Record.act == "undo_import")
    query = (
        select(Import.id, Import.undone_at, Import.undone_by, Record.stored_at, Record.annotator_id)
        .outerjoin(Record, undone)
        .where(
            or_(
                Import.undone_at.is_distinct_from(Record.stored_at),
                Import.undone_by.is_distinct_from(Record.annotator_id),
            )
        )
        .order_by(Import.id)
    )
    for row in connection.execute(query):
        if row.undone_at != row.stored_at:
            yield Difference("import", row.id, "undone_at", _moment(row.undone_at), _moment(row.stored_at))
        else:
            yield Difference("import", row.id, "undone_by", row.undone_by, row.annotator_id)


def _runs(connection: Connection) -> Iterator[Difference]:
    taken_back = (
        select(Import.run_id)
        .join(Record, Record.import_id == Import.id)
        .where(Record.act == "undo_import", Import.run_id.is_not(None))
    )
    query = (
        select(Run.id, Run.withdrawn_at)
        .where(
            or_(
                and_(Run.withdrawn_at.is_not(None), Run.id.not_in(taken_back)),
                and_(Run.withdrawn_at.is_(None), Run.id.in_(taken_back)),
            )
        )
        .order_by(Run.id)
    )
    for row in connection.execute(query):
        wanted = "that of its import" if row.withdrawn_at is None else None
        yield Difference("run", row.id, "withdrawn_at", _moment(row.withdrawn_at), wanted)


def _moment(value: object) -> str | None:
    return None if value is None else str(value)
