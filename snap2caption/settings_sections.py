"""Settings from YAML: sections with strict types, and one sentence about the first value that does not fit."""

import difflib
from collections.abc import Mapping
from reprlib import Repr
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from snap2caption.errors import UserError

_WANTED = {
    "int_type": "should be a whole number, in digits without quotes",
    "float_type": "should be a number, in digits without quotes",
    "bool_type": "should be true or false, without quotes",
    "string_type": "should be a text, in quotes",
    "tuple_type": "should be a list, such as [one, another]",
    "dict_type": "should hold names and values",
    "model_type": "should hold settings",
}
"""What a setting of a type accepts, in YAML terms."""

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 2


class SettingsSection(BaseModel):
    """Base class of sections: immutable, without unknown settings or type conversion."""

    # Strict: a quoted number is a string, and 2.0 is not an integer.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


Section = TypeVar("Section", bound=SettingsSection)


def check_settings(kind: type[Section], content: Mapping[str, Any], where: str) -> Section:
    """Return the settings in *content*; *where* names it in error messages.

    Raises:
        UserError: a setting is unknown or missing, or has an invalid value.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        # Report an unknown setting first: a typo is also why another setting is missing.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise UserError(
            f"{where}: {_explain(kind, first['type'], first['loc'], first['msg'], first['input'])}"
        ) from error


def shorten(value: object) -> str:
    """Return *value* as it was written, shortened for use in a message."""
    return _SHORT.repr(value)


def _explain(whole: type[BaseModel], kind: str, location: tuple[int | str, ...], message: str, value: object) -> str:
    place = ".".join(map(str, location))
    if kind == "extra_forbidden":
        names = _settings_at(whole, location[:-1])
        close = difflib.get_close_matches(str(location[-1]), names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}."
        return f"{place} is not a setting; {hint}"
    if kind == "missing":
        return f"{place} is missing; add it."
    reason = _WANTED.get(kind) or message.removeprefix("Value error, ").removeprefix("Input ")
    if not place:
        return f"{reason}."
    return f"{place} {reason}, not {shorten(value)}." if reason.startswith("should") else f"{place} {reason}."


def _settings_at(whole: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    section = whole
    for name in location:
        annotation = section.model_fields[str(name)].annotation
        # An unknown key lies directly in a section, which may be one that can be left out (`Section | None`).
        section = next(kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type))
    return list(section.model_fields)
