"""The process's one database a URL: opened once, brought up to date once."""

import threading

from db.engine import Database, connect
from db.upgrade import upgrade

_shared: dict[str, Database] = {}
_opening = threading.Lock()


def shared(url: str) -> Database:
    """The process's one `Database` for a URL, with its schema up to date. Raises DatabaseError."""
    with _opening:  # threads that ask at once must not end up with a writers' queue each
        if url not in _shared:
            database = connect(url)
            upgrade(database)
            _shared[url] = database
        return _shared[url]


def close_shared() -> None:
    """Close the databases that `shared` opened; it opens them anew when asked again."""
    with _opening:
        for database in _shared.values():
            database.close()
        _shared.clear()
