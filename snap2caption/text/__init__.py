"""Text: words, emoji, languages and scripts, by one definition for every part."""
