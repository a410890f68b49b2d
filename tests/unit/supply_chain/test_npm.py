"""Pins, hashes, origins and licenses of the web page's npm packages."""

import json
from pathlib import Path
from typing import Any

import pytest

from snap2caption.settings import ROOT
from supply_chain.npm import disagreements

pytestmark = pytest.mark.unit

ENTRY = {"version": "1.2.3", "integrity": "sha512-abc==", "license": "MIT"}


def project(folder: Path, entry: dict[str, Any], asked: str = "1.2.3") -> Path:
    (folder / "frontend").mkdir()
    package = {"dependencies": {"page": asked}, "devDependencies": {}}
    (folder / "frontend" / "package.json").write_text(json.dumps(package))
    lock = {"packages": {"": {}, "node_modules/page": entry}}
    (folder / "frontend" / "package-lock.json").write_text(json.dumps(lock))
    return folder


def test_the_pages_packages_are_pinned_and_may_be_passed_on() -> None:
    assert disagreements(ROOT) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"resolved": "https://registry.npmjs.org/page/-/page-1.2.3.tgz"}, None),
        ({"resolved": "https://registry.npmjs.org.example/page.tgz"}, "takes page from https://registry.npmjs.org.example"),
        ({"resolved": "git+ssh://git@github.com/a/page.git"}, "takes page from git"),
        ({"integrity": ""}, "no SHA-512 of page"),
        ({"integrity": "sha1-abc="}, "no SHA-512 of page"),
        ({"integrity": "", "inBundle": True}, None),
        ({"license": "GPL-3.0"}, "page in the web page has the license 'GPL-3.0'"),
        ({"license": ""}, "page in the web page has the license 'none'"),
        ({"license": "GPL-3.0", "dev": True}, None),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_package_is_told(tmp_path: Path, change: dict[str, Any], told: str | None) -> None:
    found = disagreements(project(tmp_path, ENTRY | change))
    assert len(found) == (told is not None)
    assert all(told in sentence for sentence in found if told)


@pytest.mark.parametrize("asked", ["^1.2.3", "1.2", "*", "latest", "file:../page"])
def test_a_range_of_versions_is_told(tmp_path: Path, asked: str) -> None:
    (sentence,) = disagreements(project(tmp_path, ENTRY, asked))
    assert sentence == f"frontend/package.json asks for page {asked}; ask for exactly one version."


def test_a_lock_that_is_missing_is_told(tmp_path: Path) -> None:
    project(tmp_path, ENTRY)
    (tmp_path / "frontend" / "package-lock.json").unlink()
    (sentence,) = disagreements(tmp_path)
    assert "package-lock.json can't be read" in sentence
