"""Rendered city scenes: what can be seen in one, and how it is drawn."""
