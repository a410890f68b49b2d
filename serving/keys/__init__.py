"""API keys: created, listed, rotated and revoked by operators, and stored only as digests."""
