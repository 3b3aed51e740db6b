"""Checks that what is kept is what was stored: database, history, guards, datasets, models and the signing key."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, exists, func, select

from db import chain, guards
from db.chain import Break, Head
from db.conditions import undecided
from db.models import Dataset, Decision, Feature, Model, Tile, TileFeature
from maploop.checksums import sha256_of
from maploop.database import Database
from maploop.errors import DatabaseError
from maploop.predict.model_files import models_folder
from maploop.settings import get_settings
from maploop.store.derived import Difference, differing_features, differing_splits, differing_tiles
from maploop.store.places import differing_places
from maploop.store.recorded import differing_records

SHOWN = 5
SIGNING_KEY = "signing.key"
SNAPSHOT = "snapshot.json"
_KEPT_MODEL = re.compile(r".+-([0-9a-f]{64})\.model")  # as predict.model_files names them

Progress = Callable[[str], None]


@dataclass
class Verification:
    """The outcome: `problems` in words, and what only deserves to be known (`notes`).

    broken          the first link of the chain that does not hold
    differences     the first values of each kind that are not what history leaves
    """

    links: int = 0
    head: str = ""
    decisions: int = 0
    datasets: int = 0
    models: int = 0
    broken: Break | None = None
    differences: list[Difference] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        broken = self.broken
        return {
            "ok": self.is_sound,
            "links": self.links,
            "head": self.head,
            "decisions": self.decisions,
            "datasets": self.datasets,
            "models": self.models,
            "break": None
            if broken is None
            else {"table": broken.table, "seq": broken.seq, "position": broken.position, "reason": broken.reason},
            "differences": [each.to_json() for each in self.differences],
            "problems": self.problems,
            "notes": self.notes,
        }


def verify_store(database: Database, progress: Progress = lambda _text: None) -> Verification:
    """Check the database and what lies in the data folder beside it; changes nothing."""
    found = Verification()
    try:
        with database.read() as connection:
            verify_rows(connection, found, progress)
            progress("Checking datasets and models")
            _check_datasets(connection, found)
            _check_models(connection, found)
    except DatabaseError as error:
        if error.kind not in ("damaged", "failing"):
            raise
        found.problems.append(str(error))
    _check_key(found)
    return found


def verify_rows(connection: Connection, found: Verification, progress: Progress = lambda _text: None) -> None:
    """Check what the database itself holds, and enter it in `found`."""
    progress("Checking the database file")
    _check_file(connection, found)
    progress("Checking the chain of decisions")
    _check_chain(connection, found, progress)
    _check_guards(connection, found)
    _check_derived(connection, found, progress)


def head_as_text(head: Head) -> str:
    """The end of the chain in hexadecimal digits: whoever notes it can later tell that nothing was cut off."""
    return head.digest.hex()


def _check_file(connection: Connection, found: Verification) -> None:
    if connection.dialect.name != "sqlite":
        return
    said = [row[0] for row in connection.exec_driver_sql(f"PRAGMA integrity_check({SHOWN})")]
    if said != ["ok"]:
        found.problems.append(f"The database file is damaged: {'; '.join(said)}. Restore a backup.")
    loose = [f"{row[0]} {row[1]}" for row in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(SHOWN)]
    if loose:
        found.problems.append(f"Rows refer to others that are not there: {', '.join(loose)}.")


def _check_chain(connection: Connection, found: Verification, progress: Progress) -> None:
    head = chain.head_of(connection)
    found.links, found.head = head.position, head_as_text(head)
    found.decisions = connection.execute(select(func.count()).select_from(Decision)).scalar_one()
    found.broken = chain.find_break(connection, lambda done: progress(f"Checking link {done:,} of {head.position:,}"))
    if found.broken is not None:
        row = f"{found.broken.table} {found.broken.seq}"
        at = f" (link {found.broken.position:,})" if found.broken.position is not None else ""
        found.problems.append(f"History breaks at {row}{at}: {found.broken.reason}.")


def _check_guards(connection: Connection, found: Verification) -> None:
    gone = guards.missing(connection)
    if gone:
        found.problems.append(f"Triggers that guard history are gone or changed: {_some(gone)}. Restore a backup.")
    if connection.dialect.name == "postgresql" and _is_owner(connection):
        found.notes.append(
            "Maploop connects as the owner of its tables, who can take the guards down: see docs/store.md for a role "
            "that cannot."
        )


def _is_owner(connection: Connection) -> bool:
    query = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'decision'::regclass"
    return bool(connection.exec_driver_sql(query).scalar_one())


def _check_derived(connection: Connection, found: Verification, progress: Progress) -> None:
    """Hold what history leaves, computed again, against what is stored."""
    for doing, differences in (
        ("features", differing_features(connection)),
        ("the tiles of features", differing_places(connection)),
        ("acts on tiles", differing_tiles(connection)),
        ("the split", differing_splits(connection)),
        ("predictions and imports", differing_records(connection)),
    ):
        progress(f"Checking {doing}")
        more = 0
        for difference in differences:
            if more < SHOWN:
                found.differences.append(difference)
                found.problems.append(f"Not as history leaves it: {difference.text()}.")
            more += 1
        if more > SHOWN:
            found.problems.append(f"{more - SHOWN:,} more differences in {doing}.")
    _note_open_work(connection, found)


def _note_open_work(connection: Connection, found: Verification) -> None:
    open_work = (
        select(Tile.z, Tile.x, Tile.y)
        .where(
            Tile.status.in_(("complete", "approved")),
            exists().where(TileFeature.tile_id == Tile.id, TileFeature.feature_id == Feature.id, undecided()),
        )
        .order_by(Tile.id)
    )
    tiles = [f"{row.z}/{row.x}/{row.y}" for row in connection.execute(open_work)]
    if tiles:
        found.notes.append(f"Finished tiles hold features that nobody has decided: {_some(tiles)}.")


def _check_datasets(connection: Connection, found: Verification) -> None:
    for identifier in connection.execute(select(Dataset.id).order_by(Dataset.number, Dataset.id)).scalars():
        found.datasets += 1
        path = get_settings().datasets_folder / identifier / SNAPSHOT
        _check_sum(found, path, identifier, f"Dataset {identifier[:12]}")


def _check_models(connection: Connection, found: Verification) -> None:
    rows = connection.execute(select(Model.name, Model.identifier).where(Model.backend == "local").order_by(Model.id))
    for row in rows:
        kept = _KEPT_MODEL.fullmatch(row.identifier)
        if kept is not None:
            found.models += 1
            _check_sum(found, models_folder() / row.identifier, kept[1], f"Model {row.name!r}")


def _check_sum(found: Verification, path: Path, wanted: str, what: str) -> None:
    if not path.is_file():
        found.problems.append(f"{what} is missing: {path} is not there.")
    elif sha256_of(path) != wanted:
        found.problems.append(f"{what} was changed: {path} is not what was stored.")


def _check_key(found: Verification) -> None:
    path = get_settings().data_folder / SIGNING_KEY
    if path.exists() and path.stat().st_mode & 0o077:
        found.problems.append(f"Others may read {path}: chmod 600 it.")


def _some(items: Any) -> str:
    listed = ", ".join(str(each) for each in items[:SHOWN])
    return f"{listed} and {len(items) - SHOWN:,} more" if len(items) > SHOWN else listed
