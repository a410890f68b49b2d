"""Observability: probes, metrics, logs and traces."""
