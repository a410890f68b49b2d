"""The paths that need no key."""

PROBES = frozenset({"/healthz", "/readyz"})
DOCS = frozenset({"/docs", "/openapi.json"})
METRICS = "/metrics"
OPEN = PROBES | DOCS | {METRICS}
"""Needs no key, and is not counted against one."""
