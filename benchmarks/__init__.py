"""Ours beside a peer's, in one run."""
