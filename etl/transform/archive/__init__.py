"""Corpus archive: the zip's central directory, its members and its cities."""
