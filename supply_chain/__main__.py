"""The command line of the supply chain: ``python -m supply_chain lock | check | pin-images | audit | release-notes``.

``release-notes`` is about the tag in the variable ``VERSION``.
"""

import os
import sys
from pathlib import Path

import httpx

from supply_chain import agreement, audit, images, licenses, lock, npm, release
from supply_chain.requirements import LockError

ROOT = Path(__file__).parents[1]
OSV = "https://api.osv.dev/v1/query"


def check() -> int:
    """Say what disagrees, and which images are known by their tag alone."""
    found = [
        *agreement.disagreements(ROOT),
        *images.disagreements(ROOT),
        *licenses.unknown_licenses(ROOT),
        *npm.disagreements(ROOT),
    ]
    for sentence in found:
        print(f"error: {sentence}", file=sys.stderr)
    if not found and (loose := images.unpinned(ROOT)):
        names = ", ".join(str(image) for image in loose)
        print(
            f"warning: Not pinned by digest: {names}. Run `make pin-images` where their registry can be reached.",
            file=sys.stderr,
        )
    return 1 if found else 0


def pin_images() -> int:
    """Write the images' digests, and say them."""
    with httpx.Client(follow_redirects=True, timeout=30) as client:
        for image in images.pin(ROOT, client):
            print(image)
    return 0


def audit_locks() -> int:
    """Say every known vulnerability. Status 1 if there are some, 3 if the database could not be asked."""
    try:
        count, findings = audit.audit(
            ROOT, Path(sys.prefix) / "audit" / "bin" / "pip-audit", os.environ.get("OSV_URL", OSV)
        )
    except audit.AuditError as error:
        print(f"NOT AUDITED: {error}", file=sys.stderr)
        return 3
    for finding in findings:
        print(finding)
    print(f"{len(findings)} known vulnerabilities in {count} locked packages.", file=sys.stderr)
    return 1 if findings else 0


def make_locks() -> int:
    """Write the locks."""
    lock.make(ROOT)
    return 0


def release_notes() -> int:
    """Say the notes of the release whose tag is in ``VERSION``."""
    print(release.notes(ROOT, os.environ.get("VERSION", "")), end="")
    return 0


COMMANDS = {
    "audit": audit_locks,
    "check": check,
    "lock": make_locks,
    "pin-images": pin_images,
    "release-notes": release_notes,
}


def main(arguments: list[str]) -> int:
    """Run one command; return its exit status."""
    command = COMMANDS.get(arguments[0]) if len(arguments) == 1 else None
    if command is None:
        print(f"error: Give one of the commands {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    try:
        return command()
    except (LockError, images.ImageReferenceError, release.ReleaseError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
