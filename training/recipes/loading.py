"""Recipe loading: YAML and overrides in, a validated recipe or one clear error message out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from snap2caption.errors import UserError
from snap2caption.formats import strict_yaml
from snap2caption.settings_sections import check_settings, shorten
from training.recipes.overrides import apply_overrides, parse_override, spell_out
from training.recipes.recipe import EvaluationRecipe, Recipe
from training.recipes.renamed import RENAMED, refuse_renamed
from training.recipes.sections import RecipeSection

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
    return check_settings(kind, content, where)
