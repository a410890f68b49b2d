"""API keys: made, listed, rotated and revoked by operators, known by their digests alone, each of a creator who outlives it."""
