"""Garbage collection's frequency, for processes that load large libraries."""

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 10, 10)
"""Python's own are (700, 10, 10): it looks for garbage each time 700 objects more live than before.

The libraries make millions of objects when they are loaded, and all of them stay: an eighth of the time that loading
takes went into looking through them.
"""


def collect_less() -> None:
    """Look for garbage more rarely. Call this before anything large is loaded."""
    gc.set_threshold(*THRESHOLDS)
