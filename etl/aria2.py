"""Client for an aria2 daemon over JSON-RPC: one started on demand on loopback, or one that is already running."""

import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl.settings import Aria2Settings
from snap2caption.errors import UserError

CONNECTIONS = 16
"""Connections per download, over all its mirrors; aria2 opens at most 16 to one server."""

_START_TIMEOUT = 15.0
_REMOVE_TIMEOUT = 10.0

_OPTIONS = {
    "min-split-size": "1M",
    "continue": "true",
    "allow-overwrite": "true",
    "auto-file-renaming": "false",
    # Integrity is not checked by aria2: it would treat a cut-off file whose last segment came first as complete,
    # and start over.
    "check-integrity": "false",
    "file-allocation": "none",
    # Keep the control file of a complete part: if we are killed before the rename, the next run need not
    # download again.
    "force-save": "true",
    "max-tries": "5",
    # With a wait, aria2 retries a server that answers 503 without reading its Retry-After.
    "retry-wait": "0",
    "connect-timeout": "10",
}


@dataclass(frozen=True, slots=True)
class DownloadStatus:
    """Status of a download: aria2's state, bytes done and in total (0 if unknown), bytes per second, and the error."""

    state: str
    done: int
    total: int
    speed: int
    code: str
    message: str

    @property
    def has_ended(self) -> bool:
        """Whether the download has completed, failed or been removed."""
        return self.state in {"complete", "error", "removed"}


class Aria2:
    """A running ``aria2c``. It touches only our own downloads.

    Every call raises UserError if the daemon does not answer, with the sentence *lost*, or if it refuses the secret.
    """

    def __init__(self, address: str, secret: str, *, timeout: int, lost: str) -> None:
        self._client = _connect(address, secret)
        self._address = address
        self._timeout = timeout
        self._lost = lost

    def ping(self) -> None:
        """Make sure that the daemon answers and accepts the secret."""
        self._call(self._client.get_version)

    @contextmanager
    def download(
        self, urls: Sequence[str], file: Path, sha256: str | None, connections: int = CONNECTIONS
    ) -> Iterator[Callable[[], DownloadStatus]]:
        """Download one file from all of *urls*, or resume it; if a digest is given, the complete file is verified.

        Yields:
            A function that returns the status. On exit the download is removed from the daemon's list, and the
                file is closed.
        """
        # The id derives from the file: what a killed run of ours left on a daemon's list is found again, and
        # nothing else is.
        gid = hashlib.sha256(str(file).encode()).hexdigest()[:16]
        options = {**_OPTIONS, "gid": gid, "dir": str(file.parent), "out": file.name, "timeout": str(self._timeout)}
        options |= dict.fromkeys(("split", "max-connection-per-server"), str(connections))
        if sha256 is not None:
            options["checksum"] = f"sha-256={sha256.lower()}"
        self._call(self._remove, gid)
        self._call(self._client.add_uri, list(urls), options)
        try:
            yield lambda: self._call(self._status, gid)
        finally:
            with suppress(UserError):
                self._call(self._remove, gid)

    def _status(self, gid: str) -> DownloadStatus:
        import aria2p

        try:
            found = self._client.tell_status(gid)
        except aria2p.ClientException as error:
            if "not found" in str(error):
                return DownloadStatus("removed", 0, 0, 0, "", "")
            raise
        return DownloadStatus(
            state=found["status"],
            done=int(found["completedLength"]),
            total=int(found["totalLength"]),
            speed=int(found["downloadSpeed"]),
            code=found.get("errorCode", ""),
            message=found.get("errorMessage", ""),
        )

    def _remove(self, gid: str) -> None:
        import aria2p

        with suppress(aria2p.ClientException):
            self._client.force_remove(gid)
        deadline = time.monotonic() + _REMOVE_TIMEOUT
        while time.monotonic() < deadline:
            try:
                self._client.remove_download_result(gid)
            except aria2p.ClientException as error:
                if "not found" in str(error):
                    return
                time.sleep(0.05)  # it is still closing the file

    def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        import aria2p
        import requests

        try:
            return method(*arguments)
        except requests.RequestException as error:
            raise UserError(self._lost) from error
        except aria2p.ClientException as error:
            if "Unauthorized" in str(error):
                raise UserError(
                    f"The aria2 daemon at {self._address} refused our secret; "
                    "set SNAP2CAPTION_ARIA2_SECRET to its --rpc-secret."
                ) from error
            raise UserError(f"aria2 refused the download ({error}); check the URLs.") from error


@contextmanager
def open_aria2(settings: Aria2Settings, lock: int) -> Iterator[Aria2]:
    """Connect to the daemon of *settings*, or start one for the duration of the context.

    A daemon that is already running must share our file system: it writes to the paths that we give, and we
    rename the file.

    Args:
        settings: which daemon.
        lock: the descriptor of a locked file. A daemon that we start inherits it, so the lock lasts until both
            of us have ended.

    Raises:
        UserError: ``aria2c`` is missing or does not start; or the running daemon does not answer, or refuses
            the secret.
    """
    if settings.url is None:
        with _started(settings, lock) as aria2:
            yield aria2
        return
    address = f"{settings.url.scheme}://{settings.url.host}:{settings.url.port}"
    lost = (
        f"No aria2 daemon answers at {address}; start it, or unset SNAP2CAPTION_ARIA2_URL to have one started, "
        "then try again."
    )
    aria2 = Aria2(address, settings.secret.get_secret_value(), timeout=settings.timeout, lost=lost)
    aria2.ping()
    yield aria2


@contextmanager
def _started(settings: Aria2Settings, lock: int) -> Iterator[Aria2]:
    binary = shutil.which("aria2c")
    if binary is None:
        raise UserError("aria2c is missing; run `apt-get install aria2`, or install your system's package aria2.")
    port, secret = _free_port(), secrets.token_hex(24)
    # Pass the secret in an unnamed file: arguments are visible to everybody, and nothing needs to be removed
    # afterwards.
    with tempfile.TemporaryFile("w+") as configuration:
        configuration.write(f"rpc-secret={secret}\n")
        configuration.seek(0)
        process = subprocess.Popen(
            [
                binary,
                f"--conf-path=/dev/fd/{configuration.fileno()}",
                "--enable-rpc",
                f"--rpc-listen-port={port}",
                "--rpc-listen-all=false",
                "--quiet",
                # Without a disk cache, everything in its control file is on disk when it is killed.
                "--disk-cache=0",
                "--auto-save-interval=1",
                f"--stop-with-process={os.getpid()}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(configuration.fileno(), lock),
            start_new_session=True,
        )
        try:
            lost = "aria2 ended while it was downloading; try again, the download resumes where it stopped."
            aria2 = Aria2(f"http://127.0.0.1:{port}", secret, timeout=settings.timeout, lost=lost)
            _wait_ready(aria2, process)
            yield aria2
        finally:
            process.kill()  # its list is empty, so it has nothing to save; a clean exit would take a second
            process.wait()


def _wait_ready(aria2: Aria2, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            aria2.ping()
        except UserError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise UserError("The aria2 daemon did not start; try `aria2c --version`.") from error
            time.sleep(0.02)
        else:
            return


def _connect(address: str, secret: str) -> Any:
    import aria2p
    import requests

    class Aria2Client(aria2p.Client):
        """aria2p's client without proxies: proxies in the environment are for downloads, and must not see the
        secret.
        """

        def post(self, payload: str) -> Any:
            with requests.Session() as session:
                session.trust_env = False
                return session.post(self.server, data=payload, timeout=self.timeout).json()

    host, _, port = address.rpartition(":")
    return Aria2Client(host, int(port), secret)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
