"""Groups of commands that several parts add to: a container may hold only one of them."""

import typer


def open_group(app: typer.Typer, name: str, about: str) -> typer.Typer:
    """Return *app*'s group of that name; made, with *about* as its help, if there is none yet."""
    for info in app.registered_groups:
        if info.name == name and info.typer_instance is not None:
            return info.typer_instance
    group = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group
