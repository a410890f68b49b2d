"""Apache Arrow without pandas, which PyArrow imports with the first list that it converts, if it is installed."""

import importlib.abc
import sys


def skip_pandas() -> None:
    """Let PyArrow do without pandas in this process, which saves 0.7 s.

    Call this in a command that hands PyArrow no objects of pandas: it would take them for other sequences. What asks for
    pandas, such as ``Table.to_pandas``, still finds it.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    # PyArrow looks once. None in `sys.modules`, which is how Python hides a module, makes it fail with another error.
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(hidden)


class _Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        """Find no pandas, and leave other modules to the next finder."""
        if name == "pandas":
            raise ModuleNotFoundError("PyArrow does without pandas here.", name=name)
