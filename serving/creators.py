"""Who asks: a creator is the SHA-256 (hex) of her API key, of the empty string where the service needs none."""

from fastapi import Request


def creator_of(request: Request) -> str:
    """Return the creator who sent *request*, whom `serving.access` let in."""
    return str(request.state.creator)
