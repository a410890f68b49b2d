"""Spool: a temporary SQLite database, for what would need memory for each record."""

import sqlite3


def open_spool() -> sqlite3.Connection:
    """Return an empty database in a file without a name, which ends with the connection or the process.

    It also sorts on disk.
    """
    database = sqlite3.connect("")
    database.execute("PRAGMA temp_store = FILE")
    return database
