"""Creator identity: each creator has an opaque id, however many keys they own. Without API keys, all share one id."""

import hashlib

from fastapi import Request

ANONYMOUS = hashlib.sha256(b"").hexdigest()
"""The creator's id where no API key is required."""


def creator_of(request: Request) -> str:
    """Return the id of the creator who sent *request*, as `serving.middleware.authentication` established it."""
    return str(request.state.creator)
