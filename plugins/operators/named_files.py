"""Named files of an installation: recipes and curations, which trigger forms name and can't bring along."""

from pathlib import Path

from airflow.sdk.exceptions import AirflowFailException


def find_named(folder: Path, name: str, kind: str) -> Path:
    """Return the file *name* in *folder* or below it. A trigger form can't name a file elsewhere.

    Raises:
        AirflowFailException: there is no such file. *kind* is what the sentence calls it. A retry would not help.
    """
    try:
        found = (folder / name).resolve()
        known = found.is_relative_to(folder.resolve()) and found.is_file()
    except (OSError, ValueError):  # longer than a name can be, or with a zero byte
        known = False
    if not known:
        raise AirflowFailException(f"There is no {kind} {name!r} in {folder}; name a file of that folder.")
    return found
