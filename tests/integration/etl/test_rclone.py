"""What rclone, by which training nodes mount a store, makes of a loaded version."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import LONGEST

from etl.load import load
from snap2caption.store import open_store

pytestmark = pytest.mark.integration

_REMOTES = {
    "s3": {"TYPE": "s3", "PROVIDER": "SeaweedFS", "ENV_AUTH": "true"},
    "swift": {"TYPE": "swift", "ENV_AUTH": "true"},
}

Rclone = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=_REMOTES)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in request.getfixturevalue(f"{request.param}_environment").items():
        monkeypatch.setenv(name, value)
    return str(request.param)


@pytest.fixture
def rclone(kind: str) -> Rclone:
    """Run rclone; the remote ``store:`` is the store. It is configured by the environment alone."""
    options = _REMOTES[kind] | ({"ENDPOINT": os.environ["AWS_ENDPOINT_URL"]} if kind == "s3" else {})
    environment = {
        **os.environ,
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_RETRIES": "1",
        **{f"RCLONE_CONFIG_STORE_{name}": value for name, value in options.items()},
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("rclone")), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST)

    return run


def test_rclone_finds_the_same_keys_and_the_same_bytes(kind: str, rclone: Rclone, dataset: Path) -> None:
    load(dataset, f"{kind}://read-by-rclone/{kind}")
    place = f"store:read-by-rclone/{kind}/{dataset.name}"
    listing = rclone("lsf", "--recursive", place)
    assert sorted(listing.stdout.split()) == sorted(file.name for file in dataset.iterdir()), listing.stderr
    checked = rclone("check", str(dataset), place)
    assert checked.returncode == 0, checked.stderr
    assert "0 differences found" in checked.stderr
    assert "could not be checked" not in checked.stderr
    downloaded = rclone("check", "--download", str(dataset), place)
    assert downloaded.returncode == 0, downloaded.stderr


def test_large_objects_too(kind: str, rclone: Rclone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_STORE_PIECE_MIB", "5")
    data = os.urandom(12_000_000)
    (tmp_path / "large").write_bytes(data)
    open_store(f"{kind}://read-by-rclone/large").put(
        "large", tmp_path / "large", sha256=hashlib.sha256(data).hexdigest()
    )
    checked = rclone("check", "--download", str(tmp_path), "store:read-by-rclone/large")
    assert checked.returncode == 0, checked.stderr


def test_it_would_see_a_difference(kind: str, rclone: Rclone, dataset: Path, tmp_path: Path) -> None:
    load(dataset, f"{kind}://read-by-rclone/other")
    for file in dataset.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[::-1])
    checked = rclone("check", str(tmp_path), f"store:read-by-rclone/other/{dataset.name}")
    assert checked.returncode != 0
