"""Embedded demo: rendered city scenes, a corpus made of them, a small base model, and a local stack of services."""
