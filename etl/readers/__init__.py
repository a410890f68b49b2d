"""Corpus readers: posts from the layouts that people and other tools keep photos with captions in."""
