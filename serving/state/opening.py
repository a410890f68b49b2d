"""Choice of the database of each part of the state, by the service's settings."""

from pathlib import Path

from sqlalchemy import make_url

from serving.settings import ServingSettings
from serving.state.database import Database
from serving.state.postgresql import PostgreSQLDatabase
from serving.state.sqlite import SQLiteDatabase
from serving.state.tables import Section
from serving.state.threads import THREADS

_CONNECTIONS = {
    Section.FEEDBACK: 11 + 1,  # for locks
    Section.VOICES: 4,
    Section.KEYS: THREADS,
    Section.RATES: THREADS,
    Section.TRANSFERS: 1,
}
"""Connections to PostgreSQL for each section: as many as there are threads for its work. What waits in one section
keeps no connection from another.
"""


def open_database(settings: ServingSettings, section: Section) -> Database:
    """Return the database of a part of the state: PostgreSQL if the settings name it, otherwise a file of SQLite's.

    Raises:
        StateError: it can't be used.
    """
    if settings.database_url is not None:
        url = make_url(settings.database_url.get_secret_value())
        return PostgreSQLDatabase(url, _CONNECTIONS[section])
    return SQLiteDatabase(sqlite_files(settings)[section], section)


def sqlite_files(settings: ServingSettings) -> dict[Section, Path]:
    """Return the files of the sections that have one without a shared database."""
    return {
        Section.KEYS: settings.key_file,
        Section.VOICES: settings.voice_file,
        Section.FEEDBACK: settings.feedback_dir / "feedback.sqlite",
    }
