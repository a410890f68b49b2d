"""Where a training runs: in this process, in several of this machine or of many, or on a Ray cluster."""

from snap2caption.settings import Settings
from training.recipes.recipe import Recipe


def launch(recipe: Recipe, settings: Settings, *, force: bool = False) -> str:
    """Train as the recipe's launcher says, and return the MLflow run's id. `training.pipeline.train` is what runs, wherever it does.

    Raises:
        UserError: the training failed for a reason outside the code, or one of its processes was lost.
    """
    if recipe.launcher.kind == "torchrun":
        from training.launch.torchrun import run

        return run(recipe, settings, force=force)
    if recipe.launcher.kind == "ray":
        from training.launch.ray_cluster import run as run_on_ray

        return run_on_ray(recipe, settings, force=force)
    from training.pipeline import train

    return train(recipe, settings, force=force)
