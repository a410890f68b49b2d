"""Command that builds the documentation website: ``python -m docsite``."""

import sys
from pathlib import Path

from docsite.build import SITE, build

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Build and check the website; return the command's exit status."""
    faults = build(ROOT)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if not faults:
        print(f"{SITE}: {sum(1 for _ in (ROOT / SITE).rglob('*.html'))} pages, all links are good")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
