"""Environment variables: which ones are our settings, and which ones are only mistyped settings."""

import difflib
import os
from collections.abc import Collection, Iterator, Mapping

from pydantic_settings import BaseSettings

PREFIX = "SNAP2CAPTION_"

_ALIKE = 0.75
"""The similarity from which a name is suggested, 0 to 1, by `difflib`."""


def variables_of(kind: type[BaseSettings]) -> set[str]:
    """Return the environment variables that a settings class reads."""
    return {f"{kind.model_config['env_prefix']}{name}".upper() for name in kind.model_fields}


def find_unknown(known: Collection[str], environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield a sentence for each variable that looks like one of our settings but is not in *known*.

    The sentence does not repeat its value, which may be a secret.
    """
    for variable in sorted(environment):
        # Settings are read without regard to case.
        name = variable.upper()
        if name in known or not _looks_like_ours(name, known):
            continue
        nearest = _nearest(name, known)
        advice = f"did you mean {nearest}?" if nearest else "unset it, or correct its name."
        yield f"The variable {variable} is no setting of Snap2Caption and is ignored; {advice}"


def _looks_like_ours(name: str, known: Collection[str]) -> bool:
    """Whether *name* begins with our prefix, or with a misspelling of it."""
    if name.startswith(PREFIX):
        return True
    return "CAPTION" in name and bool(difflib.get_close_matches(name, known, 1, cutoff=0.9))


def _nearest(name: str, known: Collection[str]) -> str | None:
    # The common prefix would make all names look similar.
    by_rest = {one.removeprefix(PREFIX): one for one in known}
    found = difflib.get_close_matches(name.partition("CAPTION_")[2] or name, by_rest, 1, cutoff=_ALIKE)
    return by_rest[found[0]] if found else None
