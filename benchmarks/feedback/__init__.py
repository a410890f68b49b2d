"""How the feedback loop scales."""
