"""Command groups that several parts extend, since a container may hold only one of the parts."""

import typer


def open_group(app: typer.Typer, name: str, about: str) -> typer.Typer:
    """Return the group *name* of *app*. It is created, with *about* as its help, if it does not exist."""
    for info in app.registered_groups:
        if info.name == name and info.typer_instance is not None:
            return info.typer_instance
    group = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group
