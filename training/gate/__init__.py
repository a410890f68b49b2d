"""The promotion gate: rules, runner and promotion."""
