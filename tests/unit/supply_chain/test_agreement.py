"""Consistency of locks, pyproject.toml and constraints."""

import re
import shutil
from pathlib import Path

import pytest

from snap2caption.settings import ROOT
from supply_chain.agreement import disagreements

pytestmark = pytest.mark.unit

FILES = (
    "pyproject.toml",
    "constraints.txt",
    "constraints-img2dataset.txt",
    "constraints-kubernetes.txt",
    "constraints-label-studio.txt",
    "constraints-openvino.txt",
    "constraints-vllm.txt",
)
HASH = "0" * 64


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what is compared, to change."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "locks", tmp_path / "locks")
    return tmp_path


def change(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    assert count
    path.write_text(text)


def test_the_project_agrees_with_itself() -> None:
    assert disagreements(ROOT) == []


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "told"),
    [
        ("constraints.txt", r"^boto3==.*", "boto3==1.44.4", r"locks/serving\.txt has boto3 [\d.]+, constraints\.txt 1\.44\.4"),
        ("constraints.txt", r"^boto3==.*\n", "", r"locks/dev\.txt has boto3 [\d.]+, which constraints\.txt does not pin"),
        ("constraints.txt", r"\Z", "left-pad==1.0\n", r"pins left-pad, which nothing needs"),
        ("constraints.txt", r"^boto3==.*", "boto3>=1", r"constraints\.txt does not say exactly which boto3"),
        ("constraints.txt", r"^torch==.*", "torch==2.12.0", r"locks/torch-cuda\.txt has torch [\d.]+, constraints\.txt 2\.12\.0"),
        ("constraints-label-studio.txt", r"^Django==.*", "Django==5.1", r"label-studio\.txt has django .*, constraints-label"),
        ("pyproject.toml", r'^serving = \[', 'serving = [\n    "left-pad>=1",', r"No lock has left-pad, which \[serving\]"),
        ("pyproject.toml", r'^serving = \[', 'serving = [\n    "mlflow>=3",', r"locks/serving\.txt lacks mlflow, which \[serving\]"),
        ("pyproject.toml", r'^    "limits>=5", .*\n', "", r"locks/serving\.txt has limits, which \[serving\] does not need"),
        ("pyproject.toml", r'"httpx>=0\.28"', '"httpx>=99"', r"locks/serving\.txt has [\d.]+ where httpx>=99 is needed"),
        ("pyproject.toml", r"setuptools==[\d.]+", "setuptools>=77", r"asks for setuptools>=77; ask for exactly"),
        ("locks/serving.txt", r"^httpx==.*\n(    --hash.*\n)+", "", r"locks/serving\.txt lacks httpx"),
        ("locks/training.txt", r"^(httpx==\S+) \\\n(    --hash.*\n)+", r"\1\n", r"locks/training\.txt has no SHA-256 of httpx"),
        ("locks/torch-cpu.txt", r"--hash=sha256:[0-9a-f]{64}", "--hash=md5:0", r"locks/torch-cpu\.txt has no SHA-256 of torch"),
        ("locks/dev.txt", r"^(httpx==.*\n)", rf"httpx==0.28.1 --hash=sha256:{HASH}\n\1", r"dev\.txt has httpx twice"),
        ("locks/dev.txt", r"^(httpx==.*\n)", r"git+https://example.com/x\n\1", r"dev\.txt has a line that is no requirement"),
    ],
    ids=[
        "another version",
        "not pinned",
        "pinned for nobody",
        "no exact version",
        "another torch",
        "another Django",
        "a new package",
        "a package of another part",
        "a package less",
        "a newer package",
        "a loose build tool",
        "a line less",
        "no hash",
        "a weak hash",
        "a line twice",
        "a line from a repository",
    ],
)  # fmt: skip
def test_whatever_disagrees_is_told(project: Path, name: str, pattern: str, replacement: str, told: str) -> None:
    change(project / name, pattern, replacement)
    assert [sentence for sentence in disagreements(project) if re.search(told, sentence)]


def test_a_lock_that_is_not_there_is_told(project: Path) -> None:
    (project / "locks" / "serving.txt").unlink()
    (sentence,) = disagreements(project)
    assert sentence.endswith("serving.txt is missing; run `make lock`.")
