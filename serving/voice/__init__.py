"""Voices: saved captions of a creator that new ones imitate."""
