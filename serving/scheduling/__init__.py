"""Scheduling: dynamic batching, and load shedding by estimated wait."""
