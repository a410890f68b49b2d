"""Installation of Mermaid, which draws the website's diagrams: ``python -m docsite.mermaid``.

The library comes from npm, and is stored in the virtual environment. Without it, the theme would load Mermaid from a
CDN. The package is pinned by its integrity value, as in npm's lock files
(https://docs.npmjs.com/cli/configuring-npm/package-lock-json).
"""

import base64
import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path

import httpx

from snap2caption.errors import UserError

VERSION = "12.0.0"
INTEGRITY = "ZW9YXy+3tSLPscBT+NnQO0K0qYH7BGES5nExl6Snoygey7xd2N0cO7Nq30N5k/u7gIeYoCrldyVy+VTCMWrNDQ=="
"""The SHA-512 of the package, in base64."""

FILE = Path(sys.prefix, "share", "mermaid", VERSION, "mermaid.tiny.js")
"""The library's file. This build of Mermaid lacks mind maps and architecture diagrams."""

_REGISTRY = "https://registry.npmjs.org"


def fetch() -> None:
    """Download the library, unless it exists already.

    The environment variable ``npm_config_registry`` names a mirror, as for npm.

    Raises:
        UserError: the registry can't be reached, or its package does not have the pinned integrity value.
    """
    if FILE.exists():
        return
    # npm reads this name in lower case.
    registry = os.environ.get("npm_config_registry", _REGISTRY).rstrip("/")  # noqa: SIM112
    url = f"{registry}/@mermaid-js/tiny/-/tiny-{VERSION}.tgz"
    try:
        answer = httpx.get(url, timeout=60.0, follow_redirects=True).raise_for_status()
    except httpx.HTTPError as error:
        raise UserError(
            f"Mermaid can't be fetched from {url} ({str(error).splitlines()[0]}); "
            "set npm_config_registry to a mirror of npm."
        ) from error
    if base64.b64encode(hashlib.sha512(answer.content).digest()).decode() != INTEGRITY:
        raise UserError(f"{url} is not the package that docsite/mermaid.py pins; do not use that mirror.")
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as package:
        member = package.extractfile(f"package/dist/{FILE.name}")
        script = member.read() if member else b""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    draft = FILE.with_suffix(".draft")
    draft.write_bytes(script)
    draft.replace(FILE)


if __name__ == "__main__":
    try:
        fetch()
    except UserError as error:
        sys.exit(f"error: {error}")
