"""What a web page of another origin, or another machine, finds at the ports of a running stack."""

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
from patience import LONGEST

from demo.stack.leftovers import leftovers

FOREIGN = "https://elsewhere.example"


def listeners(state: Path) -> Iterator[tuple[str, int, str]]:
    """Yield address, port and command of everything that listens for the stack over *state*."""
    marked = leftovers(str(state.resolve()))
    # Some, Airflow's for one, write their title over their environment and with it the mark.
    for process in {child for parent in marked for child in _family(parent)}:
        # A worker may end at any time; what it listened at is closed then.
        with suppress(psutil.NoSuchProcess):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    yield connection.laddr.ip, connection.laddr.port, " ".join(process.cmdline())


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def check_doors(state: Path) -> int:
    """Assert that whatever listens for the stack is on the loopback address, and that pages of another origin can
    neither read nor write there.

    Returns the number of ports.
    """
    found = set(listeners(state))
    for address, port, command in sorted(found):
        assert ipaddress.ip_address(address).is_loopback, f"{address}:{port} listens for other machines ({command})"
        _check_origin(f"http://{address}:{port}", command)
    return len(found)


def _check_origin(url: str, command: str) -> None:
    for method, path in [("GET", "/"), ("PUT", "/buckets/snap2caption/probe"), ("POST", "/x"), ("DELETE", "/buckets")]:
        try:
            answer = httpx.request(method, url + path, headers={"Origin": FOREIGN}, content=b"", timeout=LONGEST)
        except httpx.TransportError:
            # It speaks another protocol, or asks for a client certificate.
            continue
        told = f"{method} {url}{path} answers {answer.status_code} ({command})"
        if method != "GET":
            assert answer.status_code >= httpx.codes.MULTIPLE_CHOICES, told
        elif answer.is_success:
            assert answer.headers.get("access-control-allow-origin") not in ("*", FOREIGN), told
