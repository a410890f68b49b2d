"""Command that builds the documentation website: ``python -m docsite [--cached]``.

With ``--cached``, pages that did not change are not built again.
"""

import sys
from pathlib import Path

from docsite.build import SITE, build

ROOT = Path(__file__).parents[1]
CACHED = "--cached"


def main(arguments: list[str]) -> int:
    """Build and check the website; return the exit status."""
    if arguments not in ([], [CACHED]):
        print(f"error: {CACHED} is the only option.", file=sys.stderr)
        return 2
    faults = build(ROOT, cached=CACHED in arguments)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if not faults:
        print(f"{SITE}: {sum(1 for _ in (ROOT / SITE).rglob('*.html'))} pages, all links are good")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
