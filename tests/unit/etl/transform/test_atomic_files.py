import hashlib
import io
from pathlib import Path

import pytest

from etl.transform import atomic_files
from etl.transform.atomic_files import digest_of, digest_of_stream

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 35])
def test_a_digest_covers_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(atomic_files, "_BLOCK", 10)
    data = bytes(range(size))
    (tmp_path / "file").write_bytes(data)
    assert digest_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_a_stream_may_return_less_than_was_asked_for() -> None:
    class Slow(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:
            return super().readinto(buffer[:3])

    assert digest_of_stream(Slow(b"snap to caption")) == hashlib.sha256(b"snap to caption").hexdigest()
