"""Promotion gate: rules, runner and promotion."""
