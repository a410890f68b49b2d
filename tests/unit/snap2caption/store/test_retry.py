import time

import pytest

from snap2caption.store import retry
from snap2caption.store.retry import persistently, seconds

pytestmark = pytest.mark.unit


class Flaky:
    def __init__(self, failures: int) -> None:
        self.left = failures
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise ConnectionResetError("lost")
        return "done"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)


def test_what_passes_is_ridden_out() -> None:
    flaky = Flaky(retry.ATTEMPTS - 1)
    assert persistently(flaky, lambda _: 0.0) == "done"
    assert flaky.calls == retry.ATTEMPTS


def test_what_lasts_is_given_up_with_its_own_error() -> None:
    flaky = Flaky(100)
    with pytest.raises(ConnectionResetError, match="lost"):
        persistently(flaky, lambda _: 0.0)
    assert flaky.calls == retry.ATTEMPTS


def test_what_does_not_pass_is_not_tried_again() -> None:
    flaky = Flaky(1)
    with pytest.raises(ConnectionResetError):
        persistently(flaky, lambda _: None)
    assert flaky.calls == 1


@pytest.mark.parametrize(("asked", "longest", "least"), [(0.2, 10.0, 0.2), (3600.0, 0.1, 0.1)])
def test_a_server_may_ask_for_a_longer_wait_within_reason(
    monkeypatch: pytest.MonkeyPatch, asked: float, longest: float, least: float
) -> None:
    monkeypatch.setattr(retry, "LONGEST_WAIT", longest)
    began = time.monotonic()
    assert persistently(Flaky(1), lambda _: asked) == "done"
    assert least <= time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:09 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 9),
        ({"retry-after": "Wednesday, 21-Oct-26 07:28:09 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 9),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "soon"}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float) -> None:
    assert seconds(headers) == expected
