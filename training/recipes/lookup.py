"""Recipe lookup by path or by name."""

from pathlib import Path

from snap2caption.errors import UserError


def locate_recipe(config: str, folder: Path) -> Path:
    """Return the file that *config* names: a path, or the name of a recipe in *folder* without ``.yaml``.

    Raises:
        UserError: there is no such file or recipe.
    """
    path = Path(config)
    if path.exists() and not path.is_dir():
        return path
    recipes = {recipe.stem: recipe for recipe in sorted(folder.glob("*.yaml"))}
    if config in recipes:
        return recipes[config]
    known = f"one of the recipes in {folder}: {', '.join(recipes)}" if recipes else f"a recipe, once {folder} has some"
    raise UserError(f"No recipe at {config}; give the path of a file, or {known}.")
