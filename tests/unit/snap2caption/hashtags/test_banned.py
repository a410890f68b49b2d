from pathlib import Path

import pytest

from snap2caption.errors import UserError
from snap2caption.hashtags.banned import read_banned

pytestmark = pytest.mark.unit


def test_a_file_replaces_the_shipped_list(tmp_path: Path) -> None:
    path = tmp_path / "banned.txt"
    path.write_text("// mine\n#Foo\n\nbar // why\n")
    assert read_banned(path) == {"foo", "bar"}


def test_or_extends_it(tmp_path: Path) -> None:
    path = tmp_path / "banned.txt"
    path.write_text("+\nfoo\n")
    assert read_banned(path) == read_banned() | {"foo"}


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read"):
        read_banned(tmp_path / "missing.txt")
    path = tmp_path / "banned.txt"
    path.write_text("two words\n")
    with pytest.raises(UserError, match=r"'two words'.*no hashtag"):
        read_banned(path)
