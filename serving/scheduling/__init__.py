"""Scheduling: dynamic batching, fair queueing, and load shedding by estimated wait."""
