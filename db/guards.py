"""Triggers that keep history as it is, whoever writes: no connection setting takes them away.

`db/sql` has their text. Tables that are append-only refuse every change; those whose names history rests on keep the
names, and their rows. SQLite would delete a row to insert another of its key in its place (REPLACE) without asking any
trigger of its deletion, unless a connection wants so: there, an insert of a key that is taken is refused.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, inspect

SQL = Path(__file__).parent / "sql"

# Append-only tables, with the keys of each.
APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "prediction": (("id",),),
    "decision": (("seq",), ("id",)),
    "tile_event": (("seq",), ("id",)),
    "evaluation": (("id",),),
    "promotion": (("id",),),
    "chain_link": (("position",), ("kind", "seq")),
    "record": (("seq",),),
}

# Columns that are never rewritten: who, what and where history is about.
KEPT: dict[str, tuple[str, ...]] = {
    "annotator": ("id", "name"),
    "class": ("id", "project_id", "name", "geometry_type"),
    "tile": ("id", "project_id", "z", "x", "y"),
    "feature": ("id", "project_id"),
    "model": ("id", "project_id", "name", "backend", "identifier", "parent_id", "dataset_id"),
    "dataset": ("id", "project_id", "created_by", "manifest", "created_at"),
    "audit_sample": ("id", "project_id", "reviewer_id"),
    "audit": ("id", "sample_id", "tile_id", "annotator_id"),
    "threshold_rule": ("id", "project_id", "model_id", "class_id", "annotator_id", "score"),
    "store": ("id", "name", "created_at"),
}

# Keys by which SQLite's REPLACE would take a row away, and when a row of the table has to stay.
STAYS: dict[str, tuple[tuple[tuple[str, ...], ...], str]] = {
    "annotator": ((("id",), ("name",)), "1"),
    "class": ((("id",), ("project_id", "name"), ("project_id", "digit")), "1"),
    "project": ((("id",), ("name",)), "1"),
    "model": ((("id",), ("project_id", "name")), "1"),
    "dataset": ((("id",),), "1"),
    "audit_sample": ((("id",),), "1"),
    "audit": ((("id",), ("sample_id", "tile_id")), "1"),
    "threshold_rule": ((("id",),), "1"),
    "store": ((("id",),), "1"),
    "tile": ((("id",), ("project_id", "z", "x", "y")), "EXISTS (SELECT 1 FROM decision WHERE tile_id = OLD.id) "
             "OR EXISTS (SELECT 1 FROM tile_event WHERE tile_id = OLD.id)"),
    "feature": ((("id",), ("added_as",)), "EXISTS (SELECT 1 FROM decision WHERE feature_id = OLD.id)"),
}  # fmt: skip
_JSON = ("manifest",)
_ON_POSTGRESQL_TOO = ("annotator", "class", "project", "model", "dataset", "store")  # references hold for the others


def install(connection: Connection, tables: Sequence[str] = ()) -> None:
    """Put up the guards beside the triggers that refuse changes to append-only tables: of the tables named, else all.

    Those of tables that a later version adds are left to its migration.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    there = set(inspect(connection).get_table_names())
    for statement in _sqlite() if is_sqlite else _postgresql():
        on = re.search(r'\bON "?(\w+)"?', statement)
        table = on[1] if on is not None else ""
        if table in tables if tables else not table or table in there:
            _send(connection, statement)


def make_append_only(connection: Connection, tables: Sequence[str]) -> None:
    """Put up the triggers that refuse to change or remove rows of new tables."""
    script = _template(f"append_only.{connection.dialect.name}")
    for table in tables:
        for statement in script.format(table=table).split("\n\n"):
            _send(connection, statement)


def _send(connection: Connection, statement: str) -> None:
    """Send a statement as it stands: psycopg alone reads a percent sign as its own."""
    connection.exec_driver_sql(statement if connection.dialect.name == "sqlite" else statement.replace("%", "%%"))


def missing(connection: Connection) -> list[str]:
    """Names of triggers that ought to be there and are not, are switched off, or do something else by that name.

    And of triggers on these tables that are not Maploop's: one that runs before ours may change what is written.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    there = _sqlite_there(connection) if is_sqlite else _postgresql_there(connection)
    wanted = _sqlite_texts() if is_sqlite else _postgresql_texts()
    guarded = {*APPEND_ONLY, *STAYS, *KEPT}
    foreign = [name for name, (table, _) in there.items() if name not in wanted and table in guarded]
    return sorted([*foreign, *(name for name, text in wanted.items() if there.get(name, ("", ""))[1] != text)])


def _sqlite_there(connection: Connection) -> dict[str, tuple[str, str]]:
    """Trigger -> its table, and its statement."""
    query = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
    return {row[0]: (row[1], _normal(row[2])) for row in connection.exec_driver_sql(query)}


def _postgresql_there(connection: Connection) -> dict[str, tuple[str, str]]:
    """Trigger -> its table, and its definition with that of the function it runs; empty where it is switched off."""
    rows = connection.exec_driver_sql((SQL / "guards_there.postgresql.sql").read_text(encoding="utf-8"))
    return {
        row.tgname: (row.relname, _canonical(f"{row.trigger}; {row.function}") if row.is_on else "") for row in rows
    }


def _sqlite_texts() -> dict[str, str]:
    """The statement of each trigger, as SQLite keeps it."""
    statements = _sqlite()
    for table in APPEND_ONLY:
        statements += _template("append_only.sqlite").format(table=table).split("\n\n")
    return {statement.split()[2]: _normal(statement) for statement in statements}


def _postgresql_texts() -> dict[str, str]:
    """The definition of each trigger with that of the function it runs, as `_canonical` writes it."""
    change, append_only = _template("append_only.postgresql").split("\n\n")
    functions = {"refuse_change": change, "refuse_rewrite": _template("refuse_rewrite.postgresql")}
    statements = [append_only.format(table=table) for table in APPEND_ONLY] + _postgresql()[1:]
    return {
        statement.split()[2]: _canonical(
            f"{statement} {functions['refuse_change' if 'refuse_change()' in statement else 'refuse_rewrite']}"
        )
        for statement in statements
    }


def _canonical(text: str) -> str:
    """A definition in words without what PostgreSQL writes its own way: schema, quotes, brackets, casts, order of acts.

    No condition of ours mixes AND with OR, so brackets say nothing.
    """
    head, quote, body = text.partition("$$")
    if not quote:
        head, quote, body = text.partition("$function$")
    head = re.sub(r"CAST\((\S+) AS TEXT\)", r"\1", head, flags=re.IGNORECASE).lower().replace("::text", "")
    head = re.sub(r"\bon (only )?\S+\.|\bfunction \S+\.", lambda found: found[0].split()[0] + " ", head)
    head = re.sub(r"[()\"';]", " ", head).replace(",", " ")
    head = re.sub(
        r"(before|after|instead of) ((?:insert|update|delete|truncate)(?: or (?:insert|update|delete|truncate))*)\b",
        lambda found: f"{found[1]} {' or '.join(sorted(found[2].split(' or ')))}",
        head,
    )
    return " ".join([*head.split(), *body.replace(quote or "$$", " ").replace(";", " ; ").split()]).rstrip("; ")


def _normal(text: str) -> str:
    return " ".join(text.split()).rstrip("; ")


def _sqlite() -> list[str]:
    insert, update, delete = (_template(f"guard_{act}.sqlite") for act in ("insert", "update", "delete"))
    keys = {**APPEND_ONLY, **{table: found for table, (found, _) in STAYS.items()}}
    statements = [
        insert.format(table=table, same=" OR ".join(_same(each) for each in found)) for table, found in keys.items()
    ]
    statements += [update.format(table=table, **_columns(columns, "IS NOT")) for table, columns in KEPT.items()]
    statements += [delete.format(table=table, referred=when) for table, (_, when) in STAYS.items()]
    return statements


def _postgresql() -> list[str]:
    update, delete = _template("guard_update.postgresql"), _template("guard_delete.postgresql")
    statements = [_template("refuse_rewrite.postgresql")]
    statements += [
        update.format(table=table, **_columns(columns, "IS DISTINCT FROM")) for table, columns in KEPT.items()
    ]
    for table in _ON_POSTGRESQL_TOO:
        statements += delete.format(table=table).split("\n\n")
    return statements


def _template(name: str) -> str:
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


def _same(key: tuple[str, ...]) -> str:
    return "(" + " AND ".join(f"{column} = NEW.{column}" for column in key) + ")"


def _columns(columns: tuple[str, ...], operator: str) -> dict[str, str]:
    differs = " OR ".join(
        f"CAST(OLD.{column} AS TEXT) {operator} CAST(NEW.{column} AS TEXT)"  # PostgreSQL compares no JSON with JSON
        if column in _JSON
        else f"OLD.{column} {operator} NEW.{column}"
        for column in columns
    )
    return {"columns": ", ".join(columns), "differs": differs}
