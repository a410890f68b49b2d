"""Who asks: a creator is the SHA-256 (hex) of her API key, of the empty string where the service needs none."""

import hashlib

from fastapi import Request


def creator_of(request: Request) -> str:
    """Return the creator who sent *request*."""
    return hashlib.sha256(request.headers.get("x-api-key", "").encode()).hexdigest()
