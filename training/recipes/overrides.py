"""Recipe overrides: ``dotted.key=value``, the value in YAML."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from snap2caption.errors import UserError
from snap2caption.formats import strict_yaml
from snap2caption.settings_sections import shorten


def apply_overrides(content: dict[str, Any], overrides: Sequence[str]) -> None:
    """Apply *overrides* to a recipe's *content*, in place and in order.

    Raises:
        UserError: an override is malformed, names a setting inside another one, or would replace an earlier
            override.
    """
    given: dict[tuple[str, ...], str] = {}
    for override in overrides:
        names, value = parse_override(override)
        _refuse_twice(given, names, value, override)
        _override(content, names, value, override)
        spell_out(content)


def spell_out(content: dict[str, Any]) -> None:
    """Expand the one short form of recipes in place: ``launcher: ray`` for ``launcher: {kind: ray}``."""
    if isinstance(content.get("launcher"), str):
        content["launcher"] = {"kind": content["launcher"]}


def parse_override(override: str) -> tuple[tuple[str, ...], Any]:
    """Return the path of the setting that *override* names, outermost section first, and its value.

    Raises:
        UserError: the override is malformed, or its value is not YAML.
    """
    key, separator, value = override.partition("=")
    names = tuple(key.strip().split("."))
    if not separator or not all(names):
        raise UserError(
            f"{shorten(override)} is not an override; write section.setting=value, such as training.num_train_epochs=2."
        )
    try:
        return names, strict_yaml.load(value)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"The value in {shorten(override)} is not valid YAML ({reason}); correct it, or put it in quotes."
        ) from error


def _refuse_twice(given: dict[tuple[str, ...], str], names: tuple[str, ...], value: Any, override: str) -> None:
    """Add the settings of *override* to *given*, which maps each setting to the override that gave it.

    Raises:
        UserError: the override would silently replace one of them.
    """
    value = {"kind": value} if names == ("launcher",) and isinstance(value, str) else value
    settings = [(*names, *inner) for inner in _settings_in(value)]
    for known, by in given.items():
        if known[: len(names)] == names or any(setting[: len(known)] == known for setting in settings):
            raise UserError(
                f"{shorten(override)} would replace {shorten(by)}, as both give {'.'.join(known)}; leave one out."
                if known in settings
                else f"{shorten(override)} would replace {shorten(by)}; give it first, or leave one out."
            )
    given |= dict.fromkeys(settings, override)


def _settings_in(value: Any) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the settings in a section's *value*; an empty path if it is a setting itself."""
    if not isinstance(value, dict):
        yield ()
        return
    for name, inner in value.items():
        for names in _settings_in(inner):
            yield (name, *names)


def _override(content: dict[str, Any], names: tuple[str, ...], value: Any, override: str) -> None:
    section = content
    for name in names[:-1]:
        # A section may be spelled out as null.
        inner = section[name] = {} if section.get(name) is None else section[name]
        if not isinstance(inner, dict):
            raise UserError(f"{shorten(override)} does not name a setting: {name} holds no settings.")
        section = inner
    section[names[-1]] = value
