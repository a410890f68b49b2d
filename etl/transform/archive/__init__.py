"""Corpus zip: its central directory, its members, its cities."""
