"""Hashtags: syntax and normal form (`text`), corpus statistics (`table`), blocklist (`banned`), selection
(`ranking`).

This package exports what the corpus transform and posts need. The service imports the rest from its modules.
"""

from snap2caption.hashtags.text import MAX_LENGTH, extract, normalize, separate, unique

__all__ = ["MAX_LENGTH", "extract", "normalize", "separate", "unique"]
