import stat
from pathlib import Path

import pytest

from demo.stack.secret_files import keep_secrets, write_secret

pytestmark = pytest.mark.unit


def test_secrets_are_made_once_and_new_ones_added(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first = keep_secrets(path, ("password",), 20)
    again = keep_secrets(path, ("password", "webhook"), 20)
    assert again["password"] == first["password"] != again["webhook"]
    assert {len(secret) for secret in again.values()} == {40}
    assert keep_secrets(path, ("password", "webhook"), 20) == again


def test_an_empty_file_of_an_earlier_version_is_filled(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").touch()
    assert len(keep_secrets(tmp_path / "secrets.json", ("password",), 20)["password"]) == 40


def test_it_is_its_users_alone_whoever_could_read_it_before(tmp_path: Path) -> None:
    for name in ("secrets.json", "secrets.json.draft"):
        (tmp_path / name).write_text("{}")
        (tmp_path / name).chmod(0o644)
    keep_secrets(tmp_path / "secrets.json", ("password",), 20)
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_killed_before_it_is_whole_the_old_one_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    write_secret(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_secret(path, b"new")
    assert path.read_bytes() == b"old"
    write_secret(path, b"new")
    assert path.read_bytes() == b"new"


def killed(*_: object) -> None:
    raise KeyboardInterrupt
