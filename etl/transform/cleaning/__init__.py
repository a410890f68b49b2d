"""Cleaning: captions and photos are read, checked, cleaned and hashed."""
