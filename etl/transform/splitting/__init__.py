"""Splitting: near-duplicates are grouped, and groups are assigned to train, validation and test."""
