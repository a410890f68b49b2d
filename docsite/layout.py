"""Source folder of the website: the repository's Markdown at its own paths, and the generated reference."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docsite.command_line import command_line_page
from docsite.markdown import links
from docsite.mermaid import FILE as MERMAID
from docsite.python_api import python_pages
from docsite.rest_api import rest_api_pages

JAVASCRIPTS = Path(__file__).with_name("javascripts")


def lay_out(root: Path, sources: Path) -> None:
    """Write the website's source files for the project at *root* into the empty folder *sources*.

    Pages keep their paths, so that links between them work on the website, in a checkout, and on GitHub.
    """
    for page in root.glob("*.md"):
        _copy(page, sources / page.name)
    shutil.copytree(root / "docs", sources / "docs")
    for path in linked_files(root, sources):
        _copy(root / path, sources / path)
    shutil.copytree(JAVASCRIPTS, sources / JAVASCRIPTS.name)
    shutil.copy(MERMAID, sources / JAVASCRIPTS.name)
    generated = {"command-line.md": command_line_page(), **python_pages(root), **rest_api_pages()}
    for name, text in generated.items():
        page = sources / "reference" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")


def linked_files(root: Path, sources: Path) -> Iterator[Path]:
    """Yield the path of each project file, such as a module, that a page links to and that *sources* lacks."""
    for page in [*sources.rglob("*.md")]:
        for link in links(page.read_text(encoding="utf-8")):
            parts = urlsplit(link)
            target = (page.parent / unquote(parts.path)).resolve()
            if parts.scheme or parts.netloc or not parts.path or not target.is_relative_to(sources.resolve()):
                continue
            path = target.relative_to(sources.resolve())
            if not target.exists() and (root / path).is_file():
                yield path


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
