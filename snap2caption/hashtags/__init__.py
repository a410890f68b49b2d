"""Hashtags: what is one and how it is written (`text`), what the corpus knows of them (`table`), which are never used (`banned`), and which
suit a post (`ranking`).

What the corpus transform and the shape of a post need is here by name; the rest is the service's, and imported from its module.
"""

from snap2caption.hashtags.text import MAX_LENGTH, extract, normalize, separate, unique

__all__ = ["MAX_LENGTH", "extract", "normalize", "separate", "unique"]
