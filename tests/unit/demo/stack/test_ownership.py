from pathlib import Path

import pytest

from demo.stack.ownership import owned
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


def test_two_do_not_share_a_folder(tmp_path: Path) -> None:
    with owned(tmp_path), pytest.raises(UserError, match=r"A demo is running on .* already"), owned(tmp_path):
        pytest.fail("both have it")
    with owned(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"can't be used .*choose another with --state"), owned(tmp_path / "file" / "x"):
        pytest.fail("it is no folder")
