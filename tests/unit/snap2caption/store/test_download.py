import io
import os
from contextlib import nullcontext

import pytest

from snap2caption.store import retry
from snap2caption.store.download import ResumingDownload

pytestmark = pytest.mark.unit

CONTENT = os.urandom(3_500_000)


class Body(io.BytesIO):
    """A response that ends after *lasts* bytes, and notes how much it is asked for at a time."""

    def __init__(self, start: int, lasts: int, amounts: list[int]) -> None:
        super().__init__(CONTENT[start : start + lasts])
        self.amounts = amounts

    def read(self, amount: int | None = -1) -> bytes:
        self.amounts.append(amount or 0)
        return super().read(amount)


@pytest.mark.parametrize("lasts", [len(CONTENT), 1_300_000])
def test_all_of_an_object_is_read_in_large_pieces(lasts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    amounts: list[int] = []

    def open_at(start: int) -> Body:
        return Body(start, lasts, amounts)

    download = ResumingDownload(
        open_at(0),
        len(CONTENT),
        open_at,
        lambda error: 0.0 if isinstance(error, ConnectionError) else None,
        nullcontext,
    )
    with io.BufferedReader(download, 1 << 20) as stream:
        assert stream.read(10) == CONTENT[:10]
        assert stream.read() == CONTENT[10:]
        assert stream.read() == b""
    assert len(amounts) <= 9
