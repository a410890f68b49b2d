"""Packaged data folders: recipes, base models and DAGs.

They are at the root of the repository, and links lead to them from the packages, so that a wheel holds them.
"""

from importlib import resources
from pathlib import Path


def shipped_folder(package: str, name: str) -> Path:
    """Return the folder *name* that is shipped in *package*; it need not exist, since an image may leave it out."""
    return Path(str(resources.files(package).joinpath(name))).resolve()


def dags_folder() -> Path:
    """Return the folder of DAG files, for Airflow's ``dags_folder``. The module `plugins` must be installed."""
    return shipped_folder("plugins", "dags")
