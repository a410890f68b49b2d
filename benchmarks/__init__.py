"""Benchmarks: our implementation and an alternative, measured in the same run."""
