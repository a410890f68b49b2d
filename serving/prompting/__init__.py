"""Prompt templates: what a model is asked for a photo, and how its replies are read."""
