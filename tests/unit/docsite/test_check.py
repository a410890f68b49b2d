"""Faults of a built page are found, and what is well is let be."""

from pathlib import Path

import pytest

from docsite.check import check

pytestmark = pytest.mark.unit

GOOD = [
    '<a href="../docs/other/#part">',
    '<a href="../">',
    '<a href="#top">',
    '<a href="/docs/other/">',
    '<a href="https://example.com/a#b">',
    '<a href="mailto:somebody@example.com">',
    '<img src="../photo.png">',
    '<script src="../photo.png">',
]

BAD = {
    '<a href="../nowhere/">': "which is not on the website",
    '<a href="../../outside/">': "which is not on the website",
    '<img src="nowhere.png">': "which is not on the website",
    '<a href="../docs/other/#nothing">': "which has no such anchor",
    '<a href="#nothing">': "which has no such anchor",
    '<a href="http://example.com/">': "which is not an HTTPS address",
    '<a href="https://nowhere/">': "which is not an HTTPS address",
    '<a href="https://[/">': "which is not a valid URL",
    '<script src="https://example.com/a.js">': "which the browser would load from another host",
    '<link href="//example.com/a.css">': "which the browser would load from another host",
    '<img src="https://example.com/a.png">': "which the browser would load from another host",
}


def site_of(folder: Path, tag: str) -> list[str]:
    """Return the faults of a website with *tag* on a page of the reference."""
    sources, site = folder / "sources", folder / "site"
    for path, text in {
        sources / "docs" / "other.md": "# Part",
        site / "docs" / "other" / "index.html": '<article><h1 id="part">Part</h1></article>',
        site / "index.html": "",
        site / "photo.png": "",
        site / "page" / "index.html": f'<h1 id="top">{tag}',
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return check(sources, site)


@pytest.mark.parametrize("tag", GOOD)
def test_a_good_address_is_no_fault(tag: str, tmp_path: Path) -> None:
    assert site_of(tmp_path, tag) == []


@pytest.mark.parametrize(("tag", "fault"), BAD.items())
def test_a_bad_address_is_named(tag: str, fault: str, tmp_path: Path) -> None:
    (found,) = site_of(tmp_path, tag)
    assert found.startswith("page/index.html links to ")
    assert found.endswith(f", {fault}.")


def test_a_style_sheet_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.css").write_text('@import "//fonts.example.com/a.css"; a { background: url(b.png) }')
    assert check(tmp_path / "sources", site) == ["a.css loads //fonts.example.com/a.css from another host."]


def test_a_list_that_only_github_shows_is_named(tmp_path: Path) -> None:
    sources, site = tmp_path / "sources", tmp_path / "site" / "docs" / "page"
    (sources / "docs").mkdir(parents=True)
    site.mkdir(parents=True)
    (sources / "docs" / "page.md").write_text("Two:\n- one\n- two\n")
    (site / "index.html").write_text("<ul><li>Menu</li></ul><article><p>Two:\n- one\n- two</p></article>")
    found = check(sources, tmp_path / "site")
    assert [fault.partition(";")[0] for fault in found] == [
        "docs/page.md has 0 <li> on the website and 2 on GitHub",
        "docs/page.md has 0 <ul> on the website and 1 on GitHub",
    ]
