"""Recipe loading: YAML and overrides in, a validated recipe or one clear error message out."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from snap2caption.errors import UserError
from training.recipes import strict_yaml
from training.recipes.overrides import apply_overrides, parse_override, shorten, spell_out
from training.recipes.recipe import EvaluationRecipe, Recipe
from training.recipes.renamed import RENAMED, refuse_renamed
from training.recipes.sections import RecipeSection

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

_Checked = TypeVar("_Checked", bound=RecipeSection)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read the recipe at *path*, with *overrides* (``dotted.key=value``, the value in YAML) applied.

    Raises:
        UserError: the file is missing or not YAML, or a setting is unknown, renamed, or has an invalid value.
    """
    try:
        content = strict_yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"No recipe at {path} ({error.strerror}); see configs/ for the shipped recipes.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML ({' '.join(str(error).split())}); correct it.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a recipe: it must hold sections such as `model:` and `data:`.")
    spell_out(content)
    apply_overrides(content, overrides)
    return parse_recipe(content, str(path))


def parse_recipe(content: dict[str, Any], where: str) -> Recipe:
    """Validate a recipe's content; *where* names it in error messages."""
    return _checked(Recipe, content, where)


def change_judging(judging: EvaluationRecipe, overrides: Sequence[str]) -> EvaluationRecipe:
    """Return *judging* with *overrides* applied, in the form of `load_recipe`.

    Raises:
        UserError: a setting is unknown, belongs to another section, or has an invalid value.
    """
    for override in overrides:
        given = parse_override(override)[0][0]
        section = RENAMED.get(given, given)
        if section in Recipe.model_fields and section not in EvaluationRecipe.model_fields:
            raise UserError(
                f"{shorten(override)} changes the training, which is over; give settings of "
                f"{' or '.join(EvaluationRecipe.model_fields)} alone, such as gate.margin=0.02."
            )
    # Leave out None: it may be a section, whose settings are overridden one by one.
    content = judging.model_dump(mode="json", exclude_none=True)
    apply_overrides(content, overrides)
    return _checked(EvaluationRecipe, content, "the overrides")


def _checked(kind: type[_Checked], content: dict[str, Any], where: str) -> _Checked:
    refuse_renamed(content, where)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        # Report an unknown setting first: a typo is also why another setting is missing.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise UserError(f"{where}: {_explain(first['type'], first['loc'], first['msg'], first['input'])}") from error


def _explain(kind: str, location: tuple[int | str, ...], message: str, value: object) -> str:
    place = ".".join(map(str, location))
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(location[-1]), _settings_at(location[:-1]), n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(_settings_at(location[:-1]))}."
        return f"{place} is not a setting; {hint}"
    if kind == "missing":
        return f"{place} is missing; add it."
    reason = _WANTED.get(kind) or message.removeprefix("Value error, ").removeprefix("Input ")
    if not place:
        return f"{reason}."
    return f"{place} {reason}, not {shorten(value)}." if reason.startswith("should") else f"{place} {reason}."


def _settings_at(location: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Recipe
    for name in location:
        annotation = section.model_fields[str(name)].annotation
        # An unknown key lies directly in a section, which may be one that can be left out (`Section | None`).
        section = next(kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type))
    return list(section.model_fields)
