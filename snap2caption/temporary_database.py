"""Temporary SQLite database, for what would need memory for each record."""

import sqlite3

_CACHE_KIB = 4 * 1024


def open_temporary_database() -> sqlite3.Connection:
    """Return an empty database in a file without a name in ``TMPDIR`` (or ``/var/tmp``), with a transaction begun.

    The system removes the file however the process ends. Only 4 MiB of it are kept in memory, and it sorts on disk.
    """
    database = sqlite3.connect("", isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA temp_store = FILE")
    database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    # One transaction for everything: a commit per statement would write each page at once.
    database.execute("BEGIN")
    return database
