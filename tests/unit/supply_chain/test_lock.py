"""Lock files: how they are made, and that pip accepts them."""

import base64
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from snap2caption.settings import ROOT
from supply_chain.lock import cpu_hashes
from supply_chain.requirements import LockError, parse, read, write

pytestmark = pytest.mark.unit

INDEX = "".join(
    f'<a href="https://download-r2.pytorch.org/whl/cpu/torch-{wheel}.whl#sha256={digit * 64}">torch</a><br/>'
    for digit, wheel in (
        ("1", "2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64"),
        ("2", "2.13.0%2Bcpu-cp313-cp313-manylinux_2_28_aarch64"),
        ("3", "2.13.0-cp312-cp312-macosx_14_0_arm64"),
        ("4", "2.13.0%2Bcpu-cp314-cp314-manylinux_2_28_x86_64"),
        ("5", "2.13.0%2Bcpu-cp311-cp311-win_amd64"),
        ("6", "2.13.0%2Bcpu-cp313-cp313t-manylinux_2_28_x86_64"),
        ("7", "2.12.1%2Bcpu-cp311-cp311-manylinux_2_28_x86_64"),
    )
)


def test_torch_for_processors_fits_our_pythons_and_systems() -> None:
    assert cpu_hashes(INDEX, "2.13.0") == {f"sha256:{digit * 64}" for digit in "123"}
    with pytest.raises(LockError, match=r"no wheel of torch 2\.99"):
        cpu_hashes(INDEX, "2.99")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    pins = read(ROOT / "locks" / "serving.txt")
    write(tmp_path / "lock.txt", pins.values(), "Made by hand.", "--extra-index-url https://example.com")
    assert read(tmp_path / "lock.txt") == pins
    assert (tmp_path / "lock.txt").read_text().startswith("# Made by hand.\n--extra-index-url https://example.com\n")


@pytest.mark.parametrize(
    "line", ["httpx", "httpx>=1", "httpx==1.*", "httpx==1,!=2", "httpx @ https://example.com/httpx.whl", "./httpx"]
)
def test_a_line_that_is_no_exact_version_is_refused(line: str) -> None:
    with pytest.raises(LockError, match=r"lock\.txt"):
        parse(line, "lock.txt")


def wheel(folder: Path, content: str) -> str:
    """Write a package that holds *content* as a wheel, and return its hash."""
    path = folder / "parcel-1.0-py3-none-any.whl"
    info = "parcel-1.0.dist-info"
    files = {
        "parcel.py": content,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: parcel\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for name, text in files.items()
    }
    record = "".join(f"{name},sha256={digests[name]},{len(text.encode())}\n" for name, text in files.items())
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # at no time of the day, so the bytes are the same
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def install(project: Path) -> "subprocess.CompletedProcess[str]":
    options = [
        "--isolated",
        "--no-index",
        "--find-links",
        project,
        "--target",
        project / "installed",
        "--disable-pip-version-check",
    ]
    command = [project / "scripts" / "install-locked", sys.executable, "mine", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "locks").mkdir()
    shutil.copy(ROOT / "scripts" / "install-locked", tmp_path / "scripts")
    return tmp_path


def test_a_file_is_installed_that_has_its_hash_and_no_other(project: Path) -> None:
    (project / "locks" / "mine.txt").write_text(f"parcel==1.0 --hash={wheel(project, 'ours = True')}\n")
    wheel(project, "theirs = True")
    refused = install(project)
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not (project / "installed" / "parcel.py").exists()
    wheel(project, "ours = True")
    done = install(project)
    assert done.returncode == 0, done.stderr
    assert (project / "installed" / "parcel.py").read_text() == "ours = True"


def test_a_lock_that_is_not_there_is_named(project: Path) -> None:
    (project / "locks" / "other.txt").touch()
    done = install(project)
    assert (done.returncode, done.stderr) == (2, "error: There is no lock mine; give one of: other.\n")
