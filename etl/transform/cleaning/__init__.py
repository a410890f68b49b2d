"""Cleaning: captions and photos read, checked, cleaned and hashed."""
