"""Transfer: copies the state's tables in one transaction, so that all of it has moved or nothing."""

import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Table, exists, func, insert, literal_column, select

from serving.feedback.delivery.delivery_lock import DeliveryLock
from serving.settings import ServingSettings
from serving.state.database import Database
from serving.state.opening import open_database, sqlite_files
from serving.state.sqlite import SQLiteDatabase
from serving.state.tables import DERIVED, SCHEMAS, Section, outbox, transfers
from serving.state.values import without_nul
from snap2caption.errors import UserError

_BATCH = 32
"""Rows in memory at a time: a photo has a few hundred kilobytes."""


def transfer(settings: ServingSettings) -> dict[str, int] | None:
    """Copy the state in SQLite's files to the database that *settings* name. The files stay as they are.

    If this is interrupted, nothing has been copied, and it can be run again. Once it is done, running it again changes
    nothing: what was erased in the meantime does not come back.

    Returns:
        The number of rows copied by table; None if this state was copied before.

    Raises:
        UserError: no database is set, a service is using the files, the database has a state of its own, or either
            side can't be used.
    """
    if settings.database_url is None:
        raise UserError("There is no database to move to; set SNAP2CAPTION_SERVING_DATABASE_URL.")
    files = {section: path for section, path in sqlite_files(settings).items() if path.exists()}
    if not files:
        raise UserError("There is no state in files here; check SNAP2CAPTION_STATE_DIR, or start the service.")
    with DeliveryLock(settings.feedback_dir) as lock:
        if not lock.take():
            raise UserError("A running service uses these files; stop it, run this again, then start the services.")
        target = open_database(settings, Section.TRANSFERS)
        try:
            with target.transaction() as connection:
                target.take_turns(connection, "transfer")
                if connection.execute(select(transfers.c.source).where(transfers.c.source == lock.worker)).first():
                    return None
                _check_empty(connection)
                copied = {
                    table.name: count
                    for section, path in files.items()
                    for table, count in _copy_section(connection, section, path)
                }
                _continue_numbers(connection)
                connection.execute(insert(transfers).values(source=lock.worker, finished=time.time()))
        finally:
            target.close()
    return copied


def _check_empty(connection: Connection) -> None:
    for section in (Section.KEYS, Section.VOICES, Section.FEEDBACK):
        for table in _own_tables(section):
            if connection.execute(select(exists(select(literal_column("1")).select_from(table)))).scalar():
                raise UserError(
                    f"The database already has a state of its own (in the table {table.name}); "
                    "name an empty database in SNAP2CAPTION_SERVING_DATABASE_URL."
                )


def _own_tables(section: Section) -> list[Table]:
    """Return the tables of a section whose rows are not made of another's."""
    return [table for table in SCHEMAS[section].sorted_tables if DERIVED not in table.info]


def _copy_section(target: Connection, section: Section, path: Path) -> Iterator[tuple[Table, int]]:
    source: Database = SQLiteDatabase(path, section)
    try:
        with source.transaction() as connection:
            for table in _own_tables(section):
                yield table, _copy(connection, target, table)
    finally:
        source.close()


def _copy(source: Connection, target: Connection, table: Table) -> int:
    copied = 0
    rows = source.execution_options(yield_per=_BATCH).execute(select(table))
    for batch in rows.mappings().partitions():
        target.execute(
            insert(table),
            [{name: _clean(value) for name, value in row.items()} for row in batch],
        )
        copied += len(batch)
    return copied


def _clean(value: object) -> object:
    return without_nul(value) if isinstance(value, str) else value


def _continue_numbers(connection: Connection) -> None:
    """Let the outbox count on after the highest number that was copied."""
    highest = select(func.coalesce(func.max(outbox.c.number), 0) + 1).scalar_subquery()
    sequence = func.pg_get_serial_sequence(outbox.name, outbox.c.number.name)
    connection.execute(select(func.setval(sequence, highest, False)))
