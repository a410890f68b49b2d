"""A real PostgreSQL on loopback, thrown away afterwards.

It runs as Debian's package installed it, but never as root, which it refuses.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from demo.stack import Stack
from demo.stack.ports import HOST, Ports
from demo.stack.service import Job
from tests.support.patience import LONGEST, until

USER = "snap2caption"


@contextmanager
def run(state: Path, *, durable: bool = False) -> Iterator[str]:
    """Start a server and yield its database's URL; logs and ports lie under *state*.

    Only a *durable* one waits for the disk, which tests of its clients need not.
    """
    (programs,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
    # Not runuser, which stands before the server as a process of its own, and passes no SIGINT on to it.
    as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--")
    as_somebody = as_postgres if os.geteuid() == 0 else ()
    port = Ports(state / "ports.json").get("postgresql")
    # Not under *state*: the server's user may not enter there.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        if as_somebody:
            shutil.chown(folder, "postgres")
        data = f"{folder}/data"
        initdb = (f"{programs}/initdb", "-D", data, "-A", "trust", "-N", "-U", USER)
        subprocess.run([*as_somebody, *initdb], check=True, capture_output=True, cwd="/")
        options = (f"listen_addresses={HOST}", f"port={port}", f"unix_socket_directories={folder}")
        if not durable:
            options = (*options, "fsync=off")
        settings = (part for option in options for part in ("-c", option))
        command = (*as_somebody, f"{programs}/postgres", "-D", data, *settings)
        with Stack(state) as stack:
            # SIGINT: it does not wait for its clients to leave.
            server = stack.run(
                Job(name="postgresql", command=command, environment=os.environ, stop_signal=signal.SIGINT)
            )
            url = f"postgresql://{USER}@{HOST}:{port}/postgres"
            until(lambda: server.status() is not None or answers(url), server.tail)
            assert server.status() is None, server.tail()
            yield url


def answers(uri: str) -> bool:
    """Whether the database at *uri* can be connected to."""
    try:
        psycopg2.connect(uri, connect_timeout=int(LONGEST)).close()
    except psycopg2.OperationalError:
        return False
    return True
