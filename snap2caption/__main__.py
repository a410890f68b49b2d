"""Entry point of the command line.

It only assembles the parts' commands, and is the one module here that imports upward.
"""

import importlib
import importlib.util
import os
import sys
import traceback
from types import TracebackType

import typer

from snap2caption.command_line import options
from snap2caption.command_line.console import log_to_stderr, stderr, write_what_it_can
from snap2caption.command_line.environment import find_unknown, variables_of
from snap2caption.command_line.extras import explain_missing_module
from snap2caption.command_line.help import use_plain_help
from snap2caption.errors import UserError
from snap2caption.redaction import redact
from snap2caption.runtime.garbage_collection import collect_less
from snap2caption.runtime.openmp import OPENMP
from snap2caption.settings import Settings

PARTS = ("demo", "etl", "training", "serving")


def build_app() -> typer.Typer:
    """Assemble the commands of the parts that are installed. A container may hold only one of them."""
    app = typer.Typer(
        name="snap2caption",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for part in PARTS:
        if importlib.util.find_spec(part) is not None:
            importlib.import_module(f"{part}.cli").register(app)
    options.register(app)
    use_plain_help(app)
    return app


def known_variables() -> set[str]:
    """Return the environment variables that the installed parts read."""
    parts = [importlib.import_module(f"{part}.cli") for part in PARTS if importlib.util.find_spec(part) is not None]
    kinds = [Settings, *(kind for part in parts for kind in getattr(part, "SETTINGS", ()))]
    more = {name for part in parts for name in getattr(part, "VARIABLES", ())}
    return more.union(*map(variables_of, kinds))


def _warn_of_mistyped_variables() -> None:
    if any("CAPTION" in name.upper() for name in os.environ):
        for warning in find_unknown(known_variables()):
            stderr.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line. A user's mistake ends with one sentence, never with a traceback."""
    collect_less()
    for name, value in OPENMP.items():
        os.environ.setdefault(name, value)
    # Voices, feedback and photos are personal data: files that a command or a service writes are readable by its
    # user only, whatever the shell's umask.
    os.umask(0o077)
    write_what_it_can()
    log_to_stderr()
    sys.excepthook = _print_traceback
    _warn_of_mistyped_variables()
    try:
        build_app()()
    except UserError as error:
        stderr.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        sentence = explain_missing_module(error)
        if sentence is None:
            raise
        stderr.print(f"error: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        if error.errno is None or error.filename is None:
            raise
        stderr.print(
            f"error: {error.filename}: {error.strerror}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback without credentials, which a library's message may contain."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


if __name__ == "__main__":
    main()
