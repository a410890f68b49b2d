"""Curation: content filters for pairs that are whole, each off until the settings name it."""
