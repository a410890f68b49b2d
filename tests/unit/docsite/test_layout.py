"""Pages keep their places, and what they link to comes with them."""

from pathlib import Path

import pytest

from docsite.layout import linked_files

pytestmark = pytest.mark.unit


def test_files_that_pages_link_to_come_with_them(tmp_path: Path) -> None:
    root, sources = tmp_path / "root", tmp_path / "sources"
    (root / "code").mkdir(parents=True)
    for name in ("code/a file.py", "code/b.py", "code/c.py"):
        (root / name).touch()
    (sources / "docs").mkdir(parents=True)
    (sources / "docs" / "there.md").touch()
    (sources / "docs" / "page.md").write_text(
        "[a](../code/a%20file.py#L1) ![b](../code/b.py) [there](there.md) [up](../../root/code/c.py)\n"
        "[nowhere](../code/none.py) [host](https://example.com/code/c.py) `[c](../code/c.py)`\n"
    )
    assert [*linked_files(root, sources)] == [Path("code/a file.py"), Path("code/b.py")]
