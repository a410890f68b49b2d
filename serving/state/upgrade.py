"""Schema upgrade: runs the migrations that a database lacks, in one transaction, when it is opened."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from serving.state.tables import Section
from snap2caption.errors import UserError

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, section: Section | None) -> None:
    """Bring the schema of *section*, or of all sections, to this version. The caller commits.

    Raises:
        UserError: a newer version of Snap2Caption has migrated the database.
    """
    found = set(MigrationContext.configure(connection).get_current_heads())
    wanted = _heads(section)
    if found == wanted:
        return
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "heads" if section is None else f"{section}@head")
    except CommandError as error:
        raise UserError(
            f"The state is of a newer version of Snap2Caption ({error}); install that version, or restore a backup."
        ) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    # One folder for each section. The separator is one that no path here has.
    folders = [str(_MIGRATIONS / "versions" / section) for section in Section]
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(folders).replace("%", "%%"))
    return config


@cache
def _heads(section: Section | None) -> frozenset[str]:
    scripts = ScriptDirectory.from_config(_config())
    return frozenset(script.revision for script in scripts.get_revisions(f"{section}@head" if section else "heads"))
