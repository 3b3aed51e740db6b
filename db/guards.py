"""Triggers that keep history as it is, whoever writes: no connection setting takes them away.

`db/sql` has their text. Tables that are append-only refuse every change; those whose names history rests on keep the
names, and their rows. SQLite would delete a row to insert another of its key in its place (REPLACE) without asking any
trigger of its deletion, unless a connection wants so: there, an insert of a key that is taken is refused.
"""

from pathlib import Path

from sqlalchemy import Connection

SQL = Path(__file__).parent / "sql"

# Append-only tables, with the keys of each.
APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "prediction": (("id",),),
    "decision": (("seq",), ("id",)),
    "tile_event": (("seq",), ("id",)),
    "evaluation": (("id",),),
    "promotion": (("id",),),
    "chain_link": (("position",), ("kind", "seq")),
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


def install(connection: Connection) -> None:
    """Put up the guards beside the triggers that refuse changes to append-only tables."""
    is_sqlite = connection.dialect.name == "sqlite"
    for statement in _sqlite() if is_sqlite else _postgresql():
        connection.exec_driver_sql(statement if is_sqlite else statement.replace("%", "%%"))


def missing(connection: Connection) -> list[str]:
    """Names of the triggers that ought to be there and are not, are switched off, or do something else by that name."""
    is_sqlite = connection.dialect.name == "sqlite"
    query = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        if is_sqlite
        else "SELECT tgname, prosrc FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
        "WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace) "
        "AND NOT tgisinternal AND tgenabled IN ('O', 'A')"
    )
    there = {row[0]: _normal(row[1]) for row in connection.exec_driver_sql(query)}
    texts = _sqlite_texts() if is_sqlite else _postgresql_sources()
    return [name for name in expected(is_sqlite=is_sqlite) if there.get(name) != texts[name]]


def _sqlite_texts() -> dict[str, str]:
    """The statement of each trigger, as SQLite keeps it."""
    statements = _sqlite()
    for table in APPEND_ONLY:
        statements += _template("append_only.sqlite").format(table=table).split("\n\n")
    return {statement.split()[2]: _normal(statement) for statement in statements}


def _postgresql_sources() -> dict[str, str]:
    """The body of the function that each trigger runs."""
    change, rewrite = (
        _normal(_template(f"{name}.postgresql").split("$$")[1]) for name in ("append_only", "refuse_rewrite")
    )
    return {name: change if name.endswith("_no_change") else rewrite for name in expected(is_sqlite=False)}


def _normal(text: str) -> str:
    return " ".join(text.split()).rstrip("; ")


def expected(*, is_sqlite: bool) -> list[str]:
    """Names of all triggers that hold history together, sorted."""
    if is_sqlite:
        names = [f"{table}_{what}" for table in APPEND_ONLY for what in ("no_update", "no_delete", "no_replace")]
        names += [f"{table}_{what}" for table in STAYS for what in ("no_removal", "no_replace")]
    else:
        names = [f"{table}_no_change" for table in APPEND_ONLY]
        names += [f"{table}_{what}" for table in _ON_POSTGRESQL_TOO for what in ("no_removal", "no_emptying")]
    return sorted([*names, *(f"{table}_no_rewrite" for table in KEPT)])


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
