"""A role of PostgreSQL that can do what the app does and cannot take down what guards history: it owns no table."""

import re

from sqlalchemy import Connection

from db.guards import APPEND_ONLY
from maploop.database import Database
from maploop.errors import InputError

_NAME = re.compile(r"[a-z_][a-z0-9_$-]{0,62}")


def grant_role(database: Database, role: str) -> None:
    """Give a role that exists the rights of the app: add to history, change what is no history, own nothing.

    To be called by the owner of the tables. Raises InputError when there is no such role, or it owns the tables.
    """
    if database.is_sqlite:
        msg = "SQLite has no roles: --grant is for PostgreSQL."
        raise InputError(msg)
    if not _NAME.fullmatch(role):
        msg = f"{role!r} is not the name of a role: use small letters, digits and underscores."
        raise InputError(msg)
    with database.write() as connection:
        if not connection.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).first():
            msg = f"There is no role {role!r}: make it first (createuser {role})."
            raise InputError(msg)
        owns = "SELECT pg_has_role(%s, relowner, 'USAGE') FROM pg_class WHERE oid = 'decision'::regclass"
        if connection.exec_driver_sql(owns, (role,)).scalar_one():
            msg = f"The role {role!r} owns the tables, or is a member of their owner: name one that does not."
            raise InputError(msg)
        for statement in _statements(connection, role):
            connection.exec_driver_sql(statement)


def _statements(connection: Connection, role: str) -> list[str]:
    schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    tables = connection.exec_driver_sql(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
    ).scalars()
    statements = [
        f'REVOKE ALL ON ALL TABLES IN SCHEMA "{schema}" FROM "{role}"',
        f'GRANT USAGE ON SCHEMA "{schema}" TO "{role}"',
        f'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "{schema}" TO "{role}"',
    ]
    for table in tables:
        rights = "SELECT" if table == "alembic_version" else "SELECT, INSERT"
        if table not in APPEND_ONLY and table != "alembic_version":
            rights += ", UPDATE, DELETE"
        statements.append(f'GRANT {rights} ON "{table}" TO "{role}"')
    return statements
