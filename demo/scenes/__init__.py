"""Rendered city scenes: their attributes, and how they are drawn."""
