"""Computes features, tiles and the split again from history, and compares them with what is stored.

Databases answer with the rows that differ only, so that a million features need no memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import shapely
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    RowMapping,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    or_,
    select,
)
from sqlalchemy import type_coerce as coerce
from sqlalchemy.orm import aliased

from db.conditions import gone
from db.models import Decision, Feature, Prediction, SplitBlock, Tile, TileEvent
from maploop.review.approval import OUTCOMES, is_still_approved
from maploop.review.undo_truth import TAKEN_BACK


@dataclass(frozen=True)
class Difference:
    """A value that is not as history leaves it: a row by its table and id, what is stored and what it should be."""

    table: str
    id: int | str
    column: str
    stored: Any
    expected: Any

    def text(self) -> str:
        """In words."""
        return f"{self.table} {self.id}: {self.column} is {_shown(self.stored)}, and should be {_shown(self.expected)}"

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        return {
            "table": self.table,
            "id": self.id,
            "column": self.column,
            "stored": _plain(self.stored),
            "expected": _plain(self.expected),
        }


def differing_features(connection: Connection) -> Iterator[Difference]:
    """Features whose verdict, decision, class, outline, prediction or visibility is not what their decisions leave."""
    last = (
        select(Decision.feature_id, func.max(Decision.seq).label("seq"))
        .where(Decision.audit_id.is_(None))
        .group_by(Decision.feature_id)
        .subquery("last")
    )
    act, stands, added = (aliased(Decision, name=name) for name in ("act", "stands", "added"))
    is_decided = stands.id.is_not(None)
    of_feature = Prediction.feature_id == Feature.id
    adds = and_(added.feature_id == Feature.id, added.verdict == "add")
    expected: dict[str, ColumnElement[Any]] = {
        "added_as": case((adds, added.id)),
        "decision_id": case((is_decided, stands.id)),
        "verdict": case((is_decided, stands.verdict)),
        "prediction_id": case((is_decided, stands.prediction_id), (of_feature, Prediction.id)),
        "class_id": case(
            (is_decided, stands.class_id),
            (of_feature, Prediction.class_id),
            else_=func.coalesce(act.class_id, added.class_id),
        ),
        "geometry": case(
            (is_decided, coerce(stands.geometry, LargeBinary)),
            (of_feature, coerce(Prediction.geometry, LargeBinary)),
            else_=func.coalesce(coerce(act.geometry, LargeBinary), coerce(added.geometry, LargeBinary)),
        ),
        "withdrawn": case((or_(is_decided, Prediction.id.is_(None)), false()), else_=gone()),
    }
    stored: dict[str, ColumnElement[Any]] = {
        name: coerce(Feature.geometry, LargeBinary) if name == "geometry" else getattr(Feature, name)
        for name in expected
    }
    query = (
        _compared(Feature.id, stored, expected)
        .select_from(Feature)
        .outerjoin(last, last.c.feature_id == Feature.id)
        .outerjoin(act, act.seq == last.c.seq)
        .outerjoin(stands, stands.id == case((act.verdict == "undo", act.previous_id), else_=act.id))
        .outerjoin(added, added.id == Feature.added_as)
        .outerjoin(Prediction, Prediction.id == Feature.prediction_id)
        .where(
            or_(
                and_(Feature.prediction_id.is_(None), Feature.added_as.is_(None)),  # nothing brought it about
                *(stored[name].is_distinct_from(value) for name, value in expected.items()),
            )
        )
        .order_by(Feature.id)
    )
    for row in _rows(connection, query):
        if row["prediction_id"] is None and row["added_as"] is None:
            yield Difference("feature", row["id"], "prediction_id", None, "what models or people said of it")
        else:
            yield from _differences("feature", row["id"], row, tuple(expected))


def differing_tiles(connection: Connection) -> Iterator[Difference]:
    """Tiles whose status, finisher or comment is not what the acts on them leave."""

    def newest(name: str, *where: ColumnElement[bool]) -> Any:
        found = select(TileEvent.tile_id, func.max(TileEvent.seq).label("seq")).where(*where)
        return found.group_by(TileEvent.tile_id).subquery(name)

    last = newest("last_act")
    finish = newest("last_finish", TileEvent.act == "complete")
    check = newest("last_check", TileEvent.act.in_(OUTCOMES))
    undone = newest("last_undone", TileEvent.act == "reopen", TileEvent.comment == TAKEN_BACK)
    act, finished, checked = (aliased(TileEvent, name=name) for name in ("act", "finished", "checked"))
    still_approved = act.import_id.is_(None) & is_still_approved(checked, until=act)
    status = case(
        (act.act == "complete", case((still_approved, "approved"), else_="complete")),
        (act.act == "approve", "approved"),
        (act.act == "return", "returned"),
        else_="open",
    )
    taken_back = undone.c.seq > finish.c.seq  # with the import that had finished it
    expected: dict[str, ColumnElement[Any]] = {
        "status": status,
        "finished_by": case((taken_back, None), else_=finished.annotator_id),
        "comment": case((act.act == "return", act.comment), else_=Tile.comment),
    }
    stored: dict[str, ColumnElement[Any]] = {name: getattr(Tile, name) for name in expected}
    query = _compared(Tile.id, stored, expected, Tile.z, Tile.x, Tile.y).select_from(Tile)
    for found, event in ((last, act), (finish, finished), (check, checked)):
        query = query.outerjoin(found, found.c.tile_id == Tile.id).outerjoin(event, event.seq == found.c.seq)
    query = (
        query.outerjoin(undone, undone.c.tile_id == Tile.id)
        .where(or_(*(stored[name].is_distinct_from(value) for name, value in expected.items())))
        .order_by(Tile.id)
    )
    for row in _rows(connection, query):
        yield from _differences("tile", f"{row['z']}/{row['x']}/{row['y']}", row, tuple(expected))


def differing_splits(connection: Connection) -> Iterator[Difference]:
    """Tiles that are not on the side of the split that their block went to, or that lie in no block."""
    sizes = connection.execute(
        select(Tile.project_id, Tile.z, SplitBlock.z.label("block_z"))
        .join(SplitBlock, SplitBlock.project_id == Tile.project_id)
        .where(SplitBlock.z <= Tile.z)
        .distinct()
        .order_by(Tile.project_id, Tile.z, SplitBlock.z)
    ).all()
    levels = sorted({(row.z, row.block_z) for row in sizes})
    for z, block_z in levels:
        side = 2 ** (z - block_z)
        query = (
            select(Tile.id, Tile.z, Tile.x, Tile.y, Tile.split, SplitBlock.split.label("expected_split"))
            .join(SplitBlock, _over(z, block_z, side))
            .where(Tile.split != SplitBlock.split)
            .order_by(Tile.id)
        )
        for row in _rows(connection, query):
            yield from _differences("tile", f"{row['z']}/{row['x']}/{row['y']}", row, ("split",))
    outside = [~exists().where(_over(z, block_z, 2 ** (z - block_z))) for z, block_z in levels]
    bare = select(Tile.z, Tile.x, Tile.y, Tile.split).where(*outside).order_by(Tile.id)
    for row in _rows(connection, bare):
        yield Difference("tile", f"{row['z']}/{row['x']}/{row['y']}", "split", row["split"], "that of a block")


def _over(z: int, block_z: int, side: int) -> ColumnElement[bool]:
    return and_(
        SplitBlock.project_id == Tile.project_id,
        Tile.z == z,
        SplitBlock.z == block_z,
        SplitBlock.x == Tile.x // side,
        SplitBlock.y == Tile.y // side,
    )


def _compared(
    key: Any, stored: Mapping[str, ColumnElement[Any]], expected: Mapping[str, ColumnElement[Any]], *more: Any
) -> Select[Any]:
    columns = [value.label(name) for name, value in stored.items()]
    columns += [value.label(f"expected_{name}") for name, value in expected.items()]
    return select(key, *more, *columns)


def _rows(connection: Connection, query: Any) -> Iterator[RowMapping]:
    yield from connection.execute(query, execution_options={"yield_per": 1_000}).mappings()


def _differences(table: str, key: int | str, row: RowMapping, columns: tuple[str, ...]) -> Iterator[Difference]:
    for name in columns:
        stored, expected = row[name], row[f"expected_{name}"]
        if _plain(stored) != _plain(expected):
            yield Difference(table, key, name, stored, bool(expected) if isinstance(stored, bool) else expected)


def _plain(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value


def _shown(value: Any) -> str:
    """A value as people read it: outlines as WKT, the longest cut off."""
    if value is None:
        return "empty"
    if isinstance(value, bytes | memoryview):
        try:
            text = str(shapely.to_wkt(shapely.from_wkb(bytes(value)), rounding_precision=7))
        except shapely.errors.GEOSException:
            text = bytes(value).hex()
        return text if len(text) <= 80 else f"{text[:80]}..."
    return repr(value)
