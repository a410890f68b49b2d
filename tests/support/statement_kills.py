"""Kills of a database's work at each of its statements."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator

from sqlalchemy import Engine, event


def kill_at_statements(work: Callable[[], object], statements: Iterable[int], dialect: str = "") -> Iterator[int]:
    """Do *work* in a fork that is killed at each of *statements* in turn, until it gets to its end.

    Yields the number after each kill. Statements in databases of other dialects than *dialect* don't count.
    """
    for statement in statements:
        process = multiprocessing.get_context("fork").Process(target=_die_at, args=(statement, work, dialect))
        process.start()
        process.join()
        if process.exitcode == 0:
            return
        assert process.exitcode == -signal.SIGKILL
        yield statement
    raise AssertionError("The work never got to its end.")


def _die_at(statement: int, work: Callable[[], object], dialect: str) -> None:
    seen = 0

    def count(connection: object, *_: object) -> None:
        nonlocal seen
        seen += dialect in {"", connection.engine.dialect.name}  # type: ignore[attr-defined]
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    work()
    os._exit(0)
