"""GeoPackages that would have the reader compute: views may run for ever, so that only tables are read."""

import re
import sqlite3
from pathlib import Path
from urllib.parse import quote

from maploop.errors import VectorError
from maploop.vectors.formats.ogr import first_line

_OF_THE_FORMAT = re.compile(r"create\s+virtual\s+table\s+\S+\s+using\s+rtree\b", re.IGNORECASE)


def refuse_views(path: Path, *, shown: Path) -> None:
    """Raise VectorError when a GeoPackage has views, virtual tables other than its indexes, or computed columns.

    GDAL asks views what they hold as soon as it lists layers; one that counts without end would never come back. Their
    text is read here, and nothing of it is run.
    """
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(address, uri=True)
    except sqlite3.Error as error:
        raise VectorError(_damaged(shown, error)) from error
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        for kind, name, sql in rows:
            text = str(sql or "")
            if kind == "view":
                msg = f"{shown} has a view, {str(name)[:60]!r}: views are not read, save it as a table or remove it."
                raise VectorError(msg)
            virtual = re.match(r"\s*create\s+virtual\b", text, re.IGNORECASE)
            if virtual and not _OF_THE_FORMAT.match(text.strip()):
                msg = f"{shown} has a virtual table, {str(name)[:60]!r}: save it as a table or remove it."
                raise VectorError(msg)
            if kind == "table" and not virtual and re.search(r"\bas\s*\(", text, re.IGNORECASE):
                msg = f"{shown} has computed columns in {str(name)[:60]!r}: save it as a table of its own."
                raise VectorError(msg)
    except sqlite3.Error as error:
        raise VectorError(_damaged(shown, error)) from error
    finally:
        connection.close()


def _damaged(shown: Path, error: Exception) -> str:
    return f"{shown} is damaged ({first_line(error)}): export it again."
