"""Who asks: a creator has an opaque id, whatever keys are theirs; where no key is asked for, all are one."""

import hashlib

from fastapi import Request

NOBODY = hashlib.sha256(b"").hexdigest()
"""The creator where no key is asked for."""


def creator_of(request: Request) -> str:
    """Return the creator who sent *request*, whom `serving.middleware.authentication` let in."""
    return str(request.state.creator)
