"""Splitting: near-duplicates grouped, groups dealt to train, validation and test."""
