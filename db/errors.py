"""What can be wrong with a database."""


class DatabaseError(Exception):
    """The database is too old, too new, unreachable or damaged; the text is shown to people as it is."""
