"""State folder lock: one demo per folder, since two would disturb each other."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snap2caption.errors import UserError


@contextmanager
def owned(state: Path) -> Iterator[None]:
    """Hold the state folder. The system drops the lock with the process, so none is ever stale.

    Raises:
        UserError: another process holds it, or the folder can't be created.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        # It holds photos, voices and passwords. Files from before commands set a umask become private, too.
        state.chmod(0o700)
        lock = os.open(state / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UserError(
            f"The state folder {state} can't be used ({error.strerror}); choose another with --state."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise UserError(
            f"A demo is running on {state} already; stop it first, or choose another folder with --state."
        ) from error
    try:
        yield
    finally:
        os.close(lock)
