"""Release notes, and what keeps a tag from becoming a release."""

from pathlib import Path

import pytest

from supply_chain.release import ReleaseError, notes

pytestmark = pytest.mark.unit

CHANGELOG = """# Changelog

## [Unreleased]

- Later.

## [1.2.0] - 2026-11-28

### Added

- Something.

## [1.1.0] - 2026-10-01

- Before.

[1.1.0]: https://example.com
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def test_the_notes_are_the_section_of_the_version(project: Path) -> None:
    assert notes(project, "v1.2.0") == "### Added\n\n- Something.\n"


def test_the_last_section_ends_before_the_links(project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nversion = "1.1.0"\n')
    assert notes(project, "v1.1.0") == "- Before.\n"


@pytest.mark.parametrize("tag", ["v1.2.1", "1.2.0", ""])
def test_a_tag_of_another_version_is_refused(project: Path, tag: str) -> None:
    with pytest.raises(ReleaseError, match=r"tag v1\.2\.0"):
        notes(project, tag)


def test_a_version_without_a_section_is_refused(project: Path) -> None:
    (project / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n- Later.\n")
    with pytest.raises(ReleaseError, match="no section"):
        notes(project, "v1.2.0")
