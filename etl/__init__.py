"""Corpus zip in, dataset version out: extract, transform, load."""
