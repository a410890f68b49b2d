"""Global options and commands that belong to no part: --version, dags."""

import importlib.util
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from snap2caption.command_line.console import print_result
from snap2caption.errors import UserError
from snap2caption.shipped import dags_folder


def register(app: typer.Typer) -> None:
    """Add the options and commands to *app*."""
    app.callback()(_options)
    app.command()(dags)


def _print_version(wanted: bool) -> None:
    if wanted:
        print_result(f"snap2caption {version_of('snap2caption')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Photo in, Instagram-ready caption and ranked hashtags out."""


def dags(
    path: Annotated[
        bool, typer.Option("--path", help="Print the folder of the DAGs, for Airflow's dags_folder.")
    ] = False,
) -> None:
    """List the DAGs that Airflow runs, or print the folder that contains them."""
    if importlib.util.find_spec("plugins") is None:
        raise UserError("This installation has no DAGs; install the whole package beside Airflow.")
    folder = dags_folder()
    names = sorted(file.stem.removesuffix("_dag") for file in folder.glob("*_dag.py"))
    print_result(str(folder) if path else "\n".join(names))
