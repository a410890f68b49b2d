import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image
from server_thread import answering

from serving.captioning.moderation import ModerationUnavailableError, load_moderator
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


class Judge(BaseHTTPRequestHandler):
    """Allows only wide photos, and fails on tiny ones."""

    def do_POST(self) -> None:
        with Image.open(io.BytesIO(self.rfile.read(int(self.headers["Content-Length"])))) as photo:
            assert photo.format == "JPEG"
            verdict = {"allowed": photo.width > photo.height, "reason": "too tall"}
            body = b"?" if photo.width < 10 else json.dumps(verdict).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Judge)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def test_a_service_is_asked(url: str) -> None:
    check = load_moderator(url)
    assert check is not None
    assert check(Image.new("RGB", (40, 20))) is None
    assert check(Image.new("RGB", (20, 40))) == "too tall"
    with pytest.raises(ModerationUnavailableError):
        check(Image.new("RGB", (5, 5)))


def test_a_service_that_is_away_lets_nothing_through() -> None:
    check = load_moderator("http://127.0.0.1:9")
    assert check is not None
    with pytest.raises(ModerationUnavailableError):
        check(Image.new("RGB", (40, 20)))


@pytest.mark.parametrize("name", ["nowhere:check", "json:nothing", "json", ":"])
def test_what_can_not_be_loaded_is_a_sentence(name: str) -> None:
    with pytest.raises(UserError, match="can't be loaded"):
        load_moderator(name)


def test_nothing_is_no_check() -> None:
    assert load_moderator("") is None
