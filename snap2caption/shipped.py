"""Packaged data folders: recipes, base models and DAGs.

The folders are at the root of the repository. Symbolic links in the packages point to them, so that a wheel
includes them.
"""

from importlib import resources
from pathlib import Path


def shipped_folder(package: str, name: str) -> Path:
    """Return the folder *name* shipped in *package*. It may not exist, because an image can leave it out."""
    return Path(str(resources.files(package).joinpath(name))).resolve()


def dags_folder() -> Path:
    """Return the folder of DAG files, for Airflow's ``dags_folder``. The module `plugins` must be installed."""
    return shipped_folder("plugins", "dags")
