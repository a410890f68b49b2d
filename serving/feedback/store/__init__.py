"""Feedback in the object store: what it holds of whom, delivery and erasure."""
