"""Extras of the package: which one provides a module that is not installed."""

import traceback

_EXTRAS = {
    "demo": "demo",
    "etl": "etl",
    "etl.feedback.label_studio": "feedback",
    "plugins": "airflow",
    "serving": "serving",
    "training": "training",
    "training.launch.ray_cluster": "ray",
}
"""The extra of each part, by the package that imports the missing module."""


def explain_missing_module(error: ModuleNotFoundError) -> str | None:
    """Return a sentence that names the extra to install, or None if none of our parts needs the module."""
    for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
        importer = str(frame.f_globals.get("__name__"))
        for package in sorted(_EXTRAS, reverse=True):
            if f"{importer}.".startswith(f"{package}."):
                return (
                    f"{error.name} is not installed; install snap2caption with its extra `{_EXTRAS[package]}` "
                    "(docs/installation.md)."
                )
    return None
