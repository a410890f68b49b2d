"""Accessibility checks by axe-core in a page."""

from pathlib import Path

from playwright.sync_api import Page

_AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page) -> list[str]:
    """Return what axe finds in the page as it is now: rule, element and what is wrong with it.

    The rules are those of WCAG 2.0 to 2.2, levels A and AA, and axe's own best practices.
    """
    # The policy forbids inline scripts; what the debugger evaluates is not subject to it.
    page.evaluate(_AXE.read_text())
    found = page.evaluate(
        """() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })"""
    )
    return [
        f"{violation['id']}: {node['html']}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
        # What a bar at the bottom of the screen covers for now can be scrolled from under it.
        if "partially obscured" not in node["failureSummary"]
    ]
