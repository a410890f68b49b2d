"""What the program that runs img2dataset lets it download, from real servers on loopback."""

import ipaddress
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from patience import LONGEST
from tls_server import tls_server

from etl.readers.base import SkipReason
from etl.urls.guarded_download import Guard, Opener, RefusalError

pytestmark = pytest.mark.integration

PHOTO = b"\xff\xd8\xff" + bytes(5000)


def opener(
    *, seconds: float = LONGEST, max_bytes: int = 10_000, networks: tuple[str, ...] = ("127.0.0.1/32",)
) -> Opener:
    return Opener(Guard([ipaddress.ip_network(network) for network in networks], seconds, max_bytes))


def request(url: str) -> urllib.request.Request:
    return urllib.request.Request(url)  # noqa: S310  (which schemes are let through is what is tested)


def refused(found: Opener, url: str) -> str:
    with pytest.raises(RefusalError) as raised, found.open(request(url)) as answer:
        answer.read()
    assert str(raised.value) in set(SkipReason)
    return str(raised.value)


@contextmanager
def answering(*pieces: bytes, endless: bool = False, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that sends these bytes to whoever comes, the last one again and again, and yields its URL."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            connection, _ = listener.accept()
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            with connection, suppress(OSError):
                connection.settimeout(LONGEST)
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)
                while endless and not ended.wait(0.01):
                    connection.sendall(pieces[-1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}/a.jpg"
        finally:
            ended.set()
            with socket.create_connection(listener.getsockname()):
                pass
            thread.join()


def test_what_a_site_answers(publish: Callable[..., object]) -> None:
    publisher = publish(
        files={"a.jpg": PHOTO, "large.jpg": PHOTO * 3}, redirects={"moved": "/a.jpg", "round": "/round"}
    )
    with opener().open(request(f"{publisher.url}/moved")) as answer:
        assert answer.read() == PHOTO
    assert refused(opener(), f"{publisher.url}/gone.jpg") == "not_found"
    assert refused(opener(), f"{publisher.url}/large.jpg") == "oversized"
    assert refused(opener(), f"{publisher.url}/round") == "refused"
    for status, reason in {403: "refused", 410: "not_found", 429: "refused", 503: "server_error"}.items():
        publisher.status = status
        assert refused(opener(), f"{publisher.url}/a.jpg") == reason
    publisher.stop()
    assert refused(opener(), f"{publisher.url}/a.jpg") == "unreachable"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:{port}/a.jpg",
        "http://localhost:{port}/a.jpg",
        "http://[::1]:{port}/a.jpg",
        "http://[::ffff:127.0.0.1]:{port}/a.jpg",
        "http://0.0.0.0:{port}/a.jpg",
        "http://2130706434:{port}/a.jpg",
        "http://0x7f.2:{port}/a.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/a.jpg",
        "http://[fd00:ec2::254]/latest/meta-data/",
    ],
)
def test_private_addresses_are_not_reached(target: str, publish: Callable[..., object]) -> None:
    publisher = publish(files={"a.jpg": PHOTO})
    url = target.format(port=publisher.port)
    networks = () if "localhost" in url else ("127.0.0.1/32",)
    assert refused(opener(networks=networks), url) == "private_address"
    publisher.redirects["moved"] = url
    asked = len(publisher.requested)
    if networks:
        assert refused(opener(networks=networks), f"{publisher.url}/moved") == "private_address"
        assert publisher.requested[asked:] == ["/moved"]


def test_files_are_not_read(publish: Callable[..., object]) -> None:
    publisher = publish(redirects={"file": "file:///etc/passwd", "ftp": "ftp://127.0.0.1/a.jpg"})
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/a.jpg", "data:image/jpeg,x"):
        assert refused(opener(), url) == "invalid_url"
    assert refused(opener(), f"{publisher.url}/file") == "refused"
    assert refused(opener(), f"{publisher.url}/ftp") in {"invalid_url", "refused"}


def test_proxies_are_not_used(publish: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = publish(files={"a.jpg": PHOTO})
    monkeypatch.setenv("http_proxy", publisher.url)
    assert refused(opener(), "http://127.0.0.2/a.jpg") == "private_address"
    assert publisher.requested == []


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ((HEAD + b"Content-Length: 9000\r\n\r\n", b"x"), "too_slow"),
        ((HEAD, b"X-More: 1\r\n"), "too_slow"),
        ((HEAD + b"X-Never-Ends: ", b"x"), "too_slow"),
        ((HEAD + b"\r\n", b"x" * 4000), "oversized"),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"800\r\n" + b"x" * 0x800 + b"\r\n"), "oversized"),
        ((b"HTTP/1.1 302 Found\r\nLocation: /b.jpg\r\n\r\n", b"x" * 4000), "refused"),
    ],
)
def test_endless_answers_end(pieces: tuple[bytes, ...], reason: str) -> None:
    with answering(*pieces, endless=True) as url:
        # What is cut off by size is so whatever the time.
        found = opener(seconds=0.3 if reason == "too_slow" else LONGEST)
        assert refused(found, url) == reason


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH\r\n", HEAD + b"Content-Length: 9\r\n\r\nx", HEAD + b"Content-Length: many\r\n\r\nx"],
)
def test_what_is_cut_off_or_no_http_is_no_photo(answer: bytes) -> None:
    with answering(answer) as url:
        assert refused(opener(), url) == "unreachable"


def test_directives_before_one_with_a_value_count(publish: Callable[..., object]) -> None:
    tags = {
        "a": "noindex, unavailable_after: 1 Jan 2030",
        "b": "googlebot: noindex",
        "c": "noai",
        "d": "max-snippet: 5",
    }
    publisher = publish(
        files=dict.fromkeys(tags, PHOTO), headers={name: [("X-Robots-Tag", tag)] for name, tag in tags.items()}
    )
    found = {}
    for name in tags:
        with opener().open(request(f"{publisher.url}/{name}")) as answer:
            found[name] = answer.headers.get_all("X-Robots-Tag")
    assert found == {"a": ["noindex", "unavailable_after: 1 Jan 2030"], **{name: [tags[name]] for name in "bcd"}}


def test_https_is_verified_and_guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server(tmp_path) as server:
        assert refused(opener(), server.url) == "unreachable"  # nobody vouches for it
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        with opener().open(request(server.url)) as answer:
            assert answer.read() == b""
        assert refused(opener(networks=()), server.url) == "private_address"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate)
    for pieces in ((HEAD + b"Content-Length: 9000\r\n\r\n", b"x"), (HEAD, b"X-More: 1\r\n")):
        with answering(*pieces, endless=True, tls=context) as url:
            assert refused(opener(seconds=0.3), url) == "too_slow"
