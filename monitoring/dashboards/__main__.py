"""Command that writes the dashboards' JSON: ``python -m monitoring.dashboards``."""

import snap2caption as snap2caption  # it switches the usage reporting of libraries off
from monitoring.dashboards.pages import FOLDER, PAGES
from monitoring.dashboards.panels import to_json


def main() -> None:
    """Write each dashboard to its file."""
    for page in PAGES:
        (FOLDER / f"{page.uid}.json").write_text(to_json(page), encoding="utf-8")


if __name__ == "__main__":
    main()
