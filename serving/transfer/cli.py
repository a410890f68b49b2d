"""Command that moves the state to the database that replicas share: `snap2caption state migrate`."""

from typing import Annotated

import typer

from snap2caption.command_line.console import print_result
from snap2caption.command_line.groups import open_group


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    open_group(app, "state", "State of the service: migrate.").command()(migrate)


def migrate(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Copy the service's state from SQLite files to the database of DATABASE_URL. It may be interrupted and run again."""
    from serving.settings import ServingSettings
    from serving.transfer.transfer import transfer
    from snap2caption.settings import read_settings

    copied = transfer(read_settings(ServingSettings))
    if copied is None:
        text = "This state was copied before; nothing was changed."
    else:
        rows = ", ".join(f"{table} {count}" for table, count in copied.items())
        text = f"All state was copied (rows: {rows}). Delete the files once the services run on the database."
    print_result(text, {"copied": copied}, as_json=as_json)
