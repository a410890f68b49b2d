"""Airflow makes its home folder when it is imported: for the tests, one of their own that goes with them.

Import this before Airflow.
"""

import os
import tempfile

_home = tempfile.TemporaryDirectory(prefix="airflow-")
os.environ.setdefault("AIRFLOW_HOME", _home.name)


def pytest_unconfigure() -> None:
    _home.cleanup()
