"""Offline captioning: one photo in this process, without a server."""
