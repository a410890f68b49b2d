"""One sentence for each cause, where the cause can be had on loopback."""

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from archives import zip_of

from etl.extract import extract
from snap2caption.errors import UserError

pytestmark = pytest.mark.integration

CONTENT = zip_of(b"content")

NO_SUCH_HOST = "a" * 64 + ".localhost"  # a label is too long to be looked up anywhere


@dataclass(frozen=True)
class Cause:
    name: str
    url: str
    sentence: str
    status: int = 0
    sha256: str | None = None
    variables: tuple[tuple[str, str], ...] = ()


CAUSES = (
    Cause("not found", "{server}/nothing.zip", r"The server has no file at .*nothing\.zip \(404\); check the URL\."),
    Cause("refused", "http://127.0.0.1:9/a.zip", r"can't be reached \(.*Connection refused\); check the address"),
    Cause("name not resolved", f"http://{NO_SUCH_HOST}/a.zip", r"The name of the host in .* can't be resolved"),
    Cause(
        "silent",
        "{silent}/a.zip",
        r"did not answer in time; try again, or give another mirror\.",
        variables=(("SNAP2CAPTION_ARIA2_TIMEOUT", "1"),),
    ),
    Cause("login wanted", "{server}/a.zip", r"wants a login for .*a\.zip; put it into ~/\.netrc", status=401),
    Cause("forbidden", "{server}/a.zip", r"The server refused .* \(.*403\); check the URL", status=403),
    Cause("broken", "{server}/a.zip", r"The server refused .* \(.*500\)", status=500),
    Cause("overloaded", "{server}/a.zip", r"out of service for now \(.*503\); try again later", status=503),
    Cause("throttled", "{server}/a.zip", r"out of service for now \(.*429\); try again later", status=429),
    Cause("no TLS", "{tls}/a.zip", r"can't be reached \(SSL/TLS handshake failure"),
    Cause("no URL", "nonsense", r"'nonsense' is not an address that can be fetched; give a http, https or ftp URL\."),
    Cause("a local file", "file:///etc/passwd", r"not an address that can be fetched"),
    Cause("no port", "http://127.0.0.1:http/a.zip", r"not an address that can be fetched"),
    Cause("half an address", "http://[::1/a.zip", r"not an address that can be fetched"),
    Cause("malformed digest", "{server}/a.zip", r"'abc' is not a SHA-256 digest; give 64 hexadecimal", sha256="abc"),
    Cause("digest mismatch", "{server}/a.zip", r"does not have the digest 0{64}; check the digest", sha256="0" * 64),
    Cause(
        "nobody at the daemon's address",
        "{server}/a.zip",
        r"No aria2 daemon answers at http://127\.0\.0\.1:9; start it, or unset SNAP2CAPTION_ARIA2_URL",
        variables=(("SNAP2CAPTION_ARIA2_URL", "http://127.0.0.1:9"),),
    ),
    Cause(
        "something else at the daemon's address",
        "{server}/a.zip",
        r"No aria2 daemon answers at",
        variables=(("SNAP2CAPTION_ARIA2_URL", "{server}"),),
    ),
    Cause(
        "no address of a daemon",
        "{server}/a.zip",
        r"SNAP2CAPTION_ARIA2_URL is wrong \(.*\); correct it\.",
        variables=(("SNAP2CAPTION_ARIA2_URL", "localhost"),),
    ),
    Cause(
        "no aria2c",
        "{server}/a.zip",
        r"aria2c is missing; run `apt-get install aria2`",
        variables=(("PATH", "/nonexistent"),),
    ),
)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_cause_is_one_sentence(
    publisher, silent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cause: Cause
) -> None:
    publisher.files, publisher.status = {"a.zip": CONTENT}, cause.status
    servers = {"server": publisher.url, "silent": silent, "tls": publisher.url.replace("http:", "https:")}
    monkeypatch.setattr("etl.extract.PAUSES", (0.01,) * 3)
    for name, value in cause.variables:
        monkeypatch.setenv(name, value.format_map(servers))
    with pytest.raises(UserError, match=cause.sentence) as caught:
        extract([cause.url.format_map(servers)], tmp_path, sha256=cause.sha256)
    message = str(caught.value)
    assert "\n" not in message
    assert re.search(r"[.]$", message)
    assert {file.name for file in tmp_path.iterdir()} <= {".a.zip.lock", ".nothing.zip.lock"}


def test_a_login_of_netrc_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the sentence for a server that wants a login says to do."""
    home = tmp_path / "home"
    home.mkdir()
    netrc = home / ".netrc"
    netrc.touch(mode=0o600)
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("HOME", str(home))
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard: list[bytes] = []

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(CONTENT), CONTENT))

        thread = threading.Thread(target=answer)
        thread.start()
        path = extract([f"http://127.0.0.1:{server.getsockname()[1]}/a.zip"], tmp_path / "out")
        thread.join()
    assert path.read_bytes() == CONTENT
    assert b"Authorization: Basic" in heard[0]
