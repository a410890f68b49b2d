"""Voices: captions of a creator that later ones imitate."""
