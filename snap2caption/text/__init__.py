"""Text processing: words, emoji, languages and scripts, defined once for all parts."""
