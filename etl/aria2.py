"""The aria2 daemon, driven over JSON-RPC: one that is started on demand on loopback, or one that runs already."""

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
"""Connections of one download, over all its mirrors; aria2 opens no more than 16 to one server."""

_START_TIMEOUT = 15.0
_REMOVE_TIMEOUT = 10.0

_OPTIONS = {
    "min-split-size": "1M",
    "continue": "true",
    "allow-overwrite": "true",
    "auto-file-renaming": "false",
    # Not check-integrity: it takes a cut-off file whose last segment came first for a complete one, and starts anew.
    "check-integrity": "false",
    "file-allocation": "none",
    # The notes of which bytes are there stay when all are: whoever is killed before the file has its final name need not fetch it again.
    "force-save": "true",
    "max-tries": "5",
    # With a wait, aria2 asks a server that answers 503 again and again, and does not read how long that asks to be left alone.
    "retry-wait": "0",
    "connect-timeout": "10",
}


@dataclass(frozen=True, slots=True)
class DownloadStatus:
    """How a download stands: aria2's word for it, bytes done and in all (0 if not known), bytes a second, and why it failed."""

    word: str
    done: int
    total: int
    speed: int
    code: str
    message: str

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.word in {"complete", "error", "removed"}


class Aria2:
    """A running ``aria2c``. Of what it has on its list, only our own downloads are touched.

    Every call raises UserError if the daemon does not answer, with the sentence *lost*, or refuses the secret.
    """

    def __init__(self, address: str, secret: str, *, timeout: int, lost: str) -> None:
        self._client = _connect(address, secret)
        self._address = address
        self._timeout = timeout
        self._lost = lost

    def ping(self) -> None:
        """Make sure that it answers, and to us."""
        self._call(self._client.get_version)

    @contextmanager
    def download(
        self, urls: Sequence[str], file: Path, sha256: str | None, connections: int = CONNECTIONS
    ) -> Iterator[Callable[[], DownloadStatus]]:
        """Download one file from all of *urls*, or go on with what is there of it; with a digest, it is verified when complete.

        Yields:
            What tells its status. However the context is left, the download is off the daemon's list then, and the file closed.
        """
        # Named by the file: what a killed run of ours left on a daemon's list is found again, and nobody else's is.
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
            word=found["status"],
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
                    f"The aria2 daemon at {self._address} refused our secret; set SNAP2CAPTION_ARIA2_SECRET to its --rpc-secret."
                ) from error
            raise UserError(f"aria2 refused the download ({error}); check the URLs.") from error


@contextmanager
def open_aria2(settings: Aria2Settings, lock: int) -> Iterator[Aria2]:
    """Connect to the daemon of *settings*, or start one for as long as the context lasts.

    A daemon that runs already must share our file system: it writes to the paths that we name, and we give the file its final name.

    Args:
        settings: which daemon.
        lock: the descriptor of a locked file. A daemon of ours holds it, too, so the lock lasts until both of us have ended.

    Raises:
        UserError: ``aria2c`` is missing or does not start; or the running daemon does not answer, or refuses the secret.
    """
    if settings.url is None:
        with _started(settings, lock) as aria2:
            yield aria2
        return
    address = f"{settings.url.scheme}://{settings.url.host}:{settings.url.port}"
    lost = f"No aria2 daemon answers at {address}; start it, or unset SNAP2CAPTION_ARIA2_URL to have one started, then try again."
    aria2 = Aria2(address, settings.secret.get_secret_value(), timeout=settings.timeout, lost=lost)
    aria2.ping()
    yield aria2


@contextmanager
def _started(settings: Aria2Settings, lock: int) -> Iterator[Aria2]:
    binary = shutil.which("aria2c")
    if binary is None:
        raise UserError("aria2c is missing; run `apt-get install aria2`, or install the package aria2 of your system.")
    port, secret = _free_port(), secrets.token_hex(24)
    # By a file without a name: arguments are everybody's to see, and nothing is left to remove, however this ends.
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
                # Without its own cache, what it has noted as there is there when it is killed.
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
            lost = "aria2 ended while it was downloading; try again, it goes on from where it was."
            aria2 = Aria2(f"http://127.0.0.1:{port}", secret, timeout=settings.timeout, lost=lost)
            _wait_ready(aria2, process)
            yield aria2
        finally:
            process.kill()  # our downloads are off its list, so it has nothing to save; asked to end, it takes a second
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
        """aria2p's, that keeps the secret between us and the daemon: a proxy of the environment is for downloads."""

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
