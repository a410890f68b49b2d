"""Serving benchmarks: the caption service and alternatives that serve the same model."""
