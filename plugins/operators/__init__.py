"""Operators: each runs one stage of the pipeline, by the same function or command that a person would call."""
