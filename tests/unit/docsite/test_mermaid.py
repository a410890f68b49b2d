"""Mermaid at set-up: what a mirror serves is compared with the pinned integrity."""

import functools
import io
import tarfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from server_thread import answering

from docsite import mermaid
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder as npm's registry, and fetch into a place of the test's own; yields the place of the package."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with answering(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(mermaid, "FILE", tmp_path / "fetched" / "mermaid.tiny.js")
        yield tmp_path / f"@mermaid-js/tiny/-/tiny-{mermaid.VERSION}.tgz"


def test_another_package_is_refused(mirror: Path) -> None:
    mirror.parent.mkdir(parents=True)
    with tarfile.open(mirror, "w:gz") as package:
        member = tarfile.TarInfo("package/dist/mermaid.tiny.js")
        member.size = 4
        package.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(UserError, match=r"is not the package that docsite/mermaid\.py pins"):
        mermaid.fetch()
    assert not mermaid.FILE.exists()


def test_a_registry_without_it_is_one_sentence(mirror: Path) -> None:
    with pytest.raises(UserError, match=r"can't be fetched from .*404.*npm_config_registry"):
        mermaid.fetch()
    assert not mirror.exists()


def test_a_copy_that_is_there_is_kept(mirror: Path) -> None:
    mermaid.FILE.parent.mkdir()
    mermaid.FILE.write_text("there")
    mermaid.fetch()
    assert mermaid.FILE.read_text() == "there"
    assert not mirror.exists()
