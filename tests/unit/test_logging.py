"""Tests read the log, whatever libraries did to logging in earlier tests of the same process."""

import logging

import pytest

pytestmark = pytest.mark.unit

logger = logging.getLogger("serving.engines.chat_server")


@pytest.mark.parametrize("turn", ["first", "second"])
def test_warnings_are_captured(caplog: pytest.LogCaptureFixture, turn: str) -> None:
    logger.warning("told")
    assert "told" in caplog.text
    # The second one finds logging as the first one leaves it here.
    logging.disable(logging.CRITICAL)
    logging.getLogger().setLevel(logging.CRITICAL)
    logger.disabled = True
