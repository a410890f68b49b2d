"""Launcher selection: this process, several processes on one or more machines, or a Ray cluster."""

from snap2caption.settings import Settings
from training.recipes.recipe import Recipe


def launch(recipe: Recipe, settings: Settings, *, force: bool = False) -> str:
    """Train with the recipe's launcher, and return the MLflow run id. Each process runs `training.pipeline.train`.

    Raises:
        UserError: the training failed for a reason outside the code, or one of its processes died.
    """
    if recipe.launcher.kind == "torchrun":
        from training.launch.torchrun import run

        return run(recipe, settings, force=force)
    if recipe.launcher.kind == "ray":
        from training.launch.ray_cluster import run as run_on_ray

        return run_on_ray(recipe, settings, force=force)
    from training.pipeline import train

    return train(recipe, settings, force=force)
