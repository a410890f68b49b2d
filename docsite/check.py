"""Website checks: links, requests to other hosts, and differences from GitHub's rendering."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docsite.markdown import render

STRUCTURE = frozenset({"h1", "h2", "h3", "h4", "img", "li", "ol", "pre", "table", "tr", "ul"})
"""Elements that a page must have equally often on the website and on GitHub.

Their numbers differ if, for example, a list has no empty line before it: Python-Markdown needs one, GitHub does not.
"""
LOADED = frozenset({"audio", "embed", "iframe", "img", "link", "object", "script", "source", "track", "video"})
"""Elements whose address the browser loads without a click."""
LOCAL_SCHEMES = frozenset({"data", "mailto"})
INDEX = frozenset({"README", "index"})
"""Names of pages that are served as their folder's index."""
REFERENCE = "reference"
"""The folder of generated pages, which are not on GitHub."""


class PageParser(HTMLParser):
    """The addresses, anchors and structure of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str]] = []
        """Each link's element and address."""
        self.structure: Counter[str] = Counter()
        """Number of each element in the page's article."""
        self._articles = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element."""
        given = dict(attrs)
        self.anchors.update(value for name in ("id", "name") if (value := given.get(name)))
        self.links += [(tag, value) for name in ("href", "src", "data") if (value := given.get(name))]
        self._articles += tag == "article"
        if self._articles and tag in STRUCTURE:
            self.structure[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        """Record the end of an element."""
        self._articles -= tag == "article"


def check(sources: Path, site: Path) -> list[str]:
    """Return a sentence for each fault in *site*, which was built from the pages under *sources*."""
    pages = {path: PageParser(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    faults = [
        f"{path.relative_to(site)} links to {address}, {fault}."
        for path, page in pages.items()
        for tag, address in page.links
        if (fault := _fault(tag, address, path, site, pages))
    ]
    faults += [f"{path.relative_to(site)} loads {address} from another host." for path, address in _imports(site)]
    for source in sorted(sources.rglob("*.md")):
        name = source.relative_to(sources)
        if name.parts[0] != REFERENCE:
            built = site / name.parent if name.stem in INDEX else site / name.with_suffix("")
            faults += _differences(
                name, PageParser(f"<article>{render(source.read_text(encoding='utf-8'))}"), pages[built / "index.html"]
            )
    return faults


def _fault(tag: str, address: str, path: Path, site: Path, pages: dict[Path, PageParser]) -> str | None:
    """Return what is wrong with an address in the page at *path*, or None."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "which is not a valid URL"
    if parts.scheme in LOCAL_SCHEMES:
        return None
    if parts.scheme or parts.netloc:
        if tag in LOADED:
            return "which the browser would load from another host"
        whole = parts.scheme == "https" and re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?", parts.netloc)
        return None if whole else "which is not an HTTPS address"
    target = path
    if parts.path:
        start = site if parts.path.startswith("/") else path.parent
        target = Path(os.path.normpath(start / unquote(parts.path).lstrip("/")))
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site) or not target.is_file():
        return "which is not on the website"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "which has no such anchor"
    return None


def _imports(site: Path) -> Iterator[tuple[Path, str]]:
    """Yield each style sheet that loads a file from another host, and that file's address."""
    for path in site.rglob("*.css"):
        for address in re.findall(
            r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""", path.read_text(encoding="utf-8")
        ):
            yield path, address


def _differences(name: Path, expected: PageParser, built: PageParser) -> Iterator[str]:
    """Yield a sentence for each element whose number differs between the website and GitHub."""
    for element in sorted(STRUCTURE):
        ours, theirs = built.structure[element], expected.structure[element]
        if ours != theirs:
            yield (
                f"{name} has {ours} <{element}> on the website and {theirs} on GitHub; put an empty line before each "
                "list and table, and indent what belongs to an item by four spaces."
            )
