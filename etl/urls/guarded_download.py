"""img2dataset with guarded downloads: only public addresses, limits of bytes and time, and reasons for failures.

A program for img2dataset's own environment, so it imports nothing of ours: ``python guarded_download.py SETTINGS``.
It ends when its standard input does, as it then has lost who started it.

img2dataset fetches by `urllib.request.urlopen`, which takes an opener for all requests of the process. Its own would
also read ``file:`` URLs, and read as much as a server sends, for as long as it sends. A name is looked up once, and the
address that was checked is the one that is connected to, so no server of names can change its mind in between; each
redirect is a connection of its own. Proxies are not used, since they would connect to what was not checked here.
"""

import http.client
import ipaddress
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from email.message import Message
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

AGENT = "img2dataset"
"""How it introduces itself, and by which sites can address it in ``X-Robots-Tag``."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class RefusalError(OSError):
    """A photo that is not downloaded. The message is a member of `etl.readers.base.SkipReason`."""


def is_public(address: Address) -> bool:
    """Return whether *address*, and the one of IPv4 that it may stand for, is a public one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        found = [one for one in inner if one is not None]
        # A mapped address is none of its own.
        if found and (address.ipv4_mapped or address in _NAT64):
            return all(map(is_public, found))
        if not all(map(is_public, found)):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class Guard:
    """What a download may reach and take."""

    def __init__(self, networks: list[Network], seconds: float, max_bytes: int) -> None:
        self.networks = networks
        self.seconds = seconds
        self.max_bytes = max_bytes

    def allows(self, text: str) -> bool:
        """Return whether it may connect to the address."""
        address = ipaddress.ip_address(text.partition("%")[0])
        return is_public(address) or any(address in network for network in self.networks)

    def connect(self, host: str, port: int, deadline: float) -> socket.socket:
        """Connect to *host*.

        Raises:
            RefusalError: none of its addresses is allowed.
            OSError: none answers.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        allowed = [one for one in found if self.allows(str(one[4][0]))]
        if not allowed:
            raise RefusalError("private_address")
        last: OSError = TimeoutError()
        for family, kind, protocol, _, address in allowed:
            connection = _DeadlineSocket(family, kind, protocol)
            connection.deadline = deadline
            try:
                connection.settimeout(_left(deadline))
                connection.connect(address)
            except OSError as error:
                connection.close()
                last = error
            else:
                return connection
        raise last


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _DeadlineSocket(socket.socket):
    """Socket whose reads end at a moment, however slowly the bytes come."""

    deadline: float

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(_left(self.deadline))
        return super().recv_into(*arguments, **options)


class _DeadlineTlsSocket(ssl.SSLSocket):
    deadline: float

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(_left(self.deadline))
        return super().recv_into(*arguments, **options)


class _Connection(http.client.HTTPConnection):
    guard: Guard
    deadline: float

    def connect(self) -> None:
        self.sock = self.guard.connect(self.host, self.port, self.deadline)


class _TlsConnection(_Connection):
    default_port = http.client.HTTPS_PORT
    tls: ssl.SSLContext

    def connect(self) -> None:
        super().connect()
        wrapped = self.tls.wrap_socket(self.sock, server_hostname=self.host)
        assert isinstance(wrapped, _DeadlineTlsSocket)  # noqa: S101
        wrapped.deadline = self.deadline
        self.sock = wrapped


class _Handler(urllib.request.AbstractHTTPHandler):
    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _DeadlineTlsSocket

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self._open(_Connection, request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self._open(_TlsConnection, request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _open(self, kind: type[_Connection], request: urllib.request.Request) -> http.client.HTTPResponse:
        def make(host: str, **options: Any) -> _Connection:
            connection = kind(host, **options)
            connection.guard = self._guard
            connection.deadline = _deadline(request)
            if isinstance(connection, _TlsConnection):
                connection.tls = self._tls
            return connection

        return self.do_open(make, request)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects within the time of the first request."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None:
            vars(found)["deadline"] = _deadline(req)
        # urllib reads the body of a redirect, however much it is.
        vars(fp)["read"] = bytes
        return found


def _deadline(request: urllib.request.Request) -> float:
    return float(vars(request)["deadline"])


class Answer:
    """What img2dataset gets of a response: its headers, and its whole body."""

    def __init__(self, response: Any, max_bytes: int) -> None:
        self._response = response
        self._max_bytes = max_bytes
        self.headers = response.headers
        _separate(self.headers)

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    def read(self) -> bytes:
        """Return the body.

        Raises:
            RefusalError: it is too large, too slow, or cut off.
        """
        try:
            length = int(self.headers.get("Content-Length") or -1)
            if length > self._max_bytes:
                raise RefusalError("oversized")
            data: bytes = self._response.read(self._max_bytes + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RefusalError(reason(error)) from error
        if len(data) > self._max_bytes:
            raise RefusalError("oversized")
        if len(data) < length:
            raise RefusalError("unreachable")
        return data


def _separate(headers: Message) -> None:
    """Give each directive before one with a value a header of its own.

    ``noindex, unavailable_after: 1 Jan 2030`` names no agent, but img2dataset takes all before a colon for one.
    """
    values = headers.get_all("X-Robots-Tag", [])
    del headers["X-Robots-Tag"]
    for value in values:
        before, comma, last = value.partition(":")[0].rpartition(",")
        if comma and ":" in value:
            headers["X-Robots-Tag"] = before
            headers["X-Robots-Tag"] = last.strip() + value[value.index(":") :]
        else:
            headers["X-Robots-Tag"] = value


class Opener(urllib.request.OpenerDirector):
    """Opener of http and https, within a guard."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        for handler in (
            _Handler(guard),
            _Redirects(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
        ):
            self.add_handler(handler)

    def open(self, fullurl: Any, data: Any = None, timeout: Any = None) -> Any:
        """Return the `Answer` to *fullurl*, which is a request.

        Raises:
            RefusalError: there is none that may be used.
        """
        request: urllib.request.Request = fullurl
        vars(request).setdefault("deadline", time.monotonic() + self._guard.seconds)
        try:
            response = super().open(request, data, timeout or self._guard.seconds)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RefusalError(reason(error)) from error
        return response if isinstance(response, Answer) else Answer(response, self._guard.max_bytes)


def reason(error: Exception) -> str:
    """Return the member of `etl.readers.base.SkipReason` for an error of a download."""
    if isinstance(error, urllib.error.HTTPError):
        with error:
            if error.code in {404, 410}:
                return "not_found"
            return "refused" if error.code < 500 else "server_error"
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, RefusalError):
        return str(inner)
    if isinstance(inner, TimeoutError):
        return "too_slow"
    if isinstance(inner, (http.client.InvalidURL, UnicodeError)) or "unknown url type" in str(inner):
        return "invalid_url"
    return "unreachable"


def install(settings: dict[str, Any]) -> None:
    """Guard all requests of this process."""
    networks = [ipaddress.ip_network(network) for network in settings["networks"]]
    urllib.request.install_opener(Opener(Guard(networks, settings["timeout"], settings["max_bytes"])))


def _end_with_our_parent() -> None:
    while os.read(0, 4096):  # without Python's buffer, whose lock would be held when the program ends
        pass
    os.killpg(0, signal.SIGKILL)


def main(settings: dict[str, Any]) -> None:
    """Download the parts that are not there yet."""
    threading.Thread(target=_end_with_our_parent, daemon=True).start()
    import img2dataset  # type: ignore[import-not-found,unused-ignore]

    img2dataset.download(
        url_list=settings["parts"],
        input_format="parquet",
        caption_col="caption",
        save_additional_columns=settings["columns"] or None,
        output_folder=settings["shards"],
        output_format="webdataset",
        number_sample_per_shard=settings["rows"],
        # Photos are kept as the sites have them, and checked by our own limits later.
        disable_all_reencoding=True,
        extract_exif=False,
        compute_hash=None,
        thread_count=settings["threads"],
        timeout=settings["timeout"],
        retries=1,
        incremental_mode="incremental",
        user_agent_token=AGENT,
        disallowed_header_directives=["noai", "noimageai", "noindex", "noimageindex"],
    )


# Its workers are new processes, which run this file as well.
if __name__ in {"__main__", "__mp_main__"}:
    install(json.loads(sys.argv[1]))
if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
