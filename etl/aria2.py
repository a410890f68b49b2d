"""The aria2 daemon, started on demand on loopback and driven over JSON-RPC."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from snap2caption.errors import UserError

CONNECTIONS = 16
_START_TIMEOUT = 15.0


class Daemon:
    """A running ``aria2c`` that downloads into *folder*. A context: the daemon ends with it, and with this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        binary = shutil.which("aria2c")
        if binary is None:
            raise UserError(
                "aria2c is missing; run `apt-get install aria2`, or install the package aria2 of your system."
            )
        port, secret = _free_port(), secrets.token_hex(24)
        # By a file that only we can read: arguments are everybody's to see.
        descriptor, configuration = tempfile.mkstemp(prefix="aria2-", suffix=".conf")
        with os.fdopen(descriptor, "w") as stream:
            stream.write(f"rpc-secret={secret}\n")
        self._configuration = Path(configuration)
        self._process = subprocess.Popen(
            [
                binary,
                f"--conf-path={configuration}",
                "--enable-rpc",
                f"--rpc-listen-port={port}",
                "--rpc-listen-all=false",
                f"--dir={self._folder}",
                "--quiet",
                f"--max-connection-per-server={CONNECTIONS}",
                f"--split={CONNECTIONS}",
                "--min-split-size=1M",
                "--continue=true",
                "--allow-overwrite=true",
                "--auto-file-renaming=false",
                # Not --check-integrity: it takes a cut-off file whose last segment came first for a complete one, and starts anew.
                "--file-allocation=none",
                "--auto-save-interval=1",
                "--max-tries=5",
                "--retry-wait=1",
                "--connect-timeout=10",
                f"--stop-with-process={os.getpid()}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        import aria2p

        self._api = aria2p.API(aria2p.Client(host="http://127.0.0.1", port=port, secret=secret))
        try:
            self._wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _wait_ready(self) -> None:
        import requests

        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            try:
                self._api.client.get_version()
            except requests.RequestException as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise UserError("The aria2 daemon did not start; try `aria2c --version`.") from error
                time.sleep(0.05)
            else:
                return

    def add(self, urls: Sequence[str], name: str, sha256: str | None) -> Any:
        """Start a download of one file from all of *urls* as *name*; with a digest, it is verified when complete."""
        options = {"out": name} | ({"checksum": f"sha-256={sha256.lower()}"} if sha256 else {})
        return self._api.add_uris(list(urls), options=options)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._configuration.unlink(missing_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
