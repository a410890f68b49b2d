"""Who asks: a creator is the SHA-256 (hex) of her API key, of the empty string where the service needs none."""

import hashlib

from fastapi import Request

NOBODY = hashlib.sha256(b"").hexdigest()
"""The creator where no key is asked for."""


def creator_of(request: Request) -> str:
    """Return the creator who sent *request*, whom `serving.access` let in."""
    return str(request.state.creator)
