"""Fingerprint of a training: the settings that the trained weights depend on, apart from where it is done and how the model is judged.

Each setting of a recipe is in `WEIGHTS` or in `ELSEWHERE`, by itself or with its whole section; `COUNT_WITH_PATIENCE` says of some that they matter
only beside another one.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from training.recipes.recipe import Recipe
from training.recipes.renamed import with_former_names

WEIGHTS = frozenset(
    {
        "model.base",
        "model.load_in_4bit",
        "model.do_image_splitting",
        "model.lora",
        "data.cities",
        "data.samples_per_city",
        "data.stream",
        "data.max_post_tokens",
        "data.max_validation_samples",
        "data.feedback.share",
        "training.global_micro_batch_size",
        "training.gradient_accumulation_steps",
        "training.learning_rate",
        "training.num_train_epochs",
        "training.warmup_ratio",
        "training.weight_decay",
        "training.precision",
        "training.seed",
        "training.threads",
        "training.early_stopping_patience",
        "training.eval_steps",
        "training.early_stopping_threshold",
    }
)
"""Settings that other weights come of. So do other ``threads``, as sums round in another order."""

ELSEWHERE = frozenset(
    {
        "model.revision",
        "data.uri",
        "data.version",
        "data.feedback.uri",
        "training.gradient_checkpointing",
        "training.feature_cache_gib",
        "training.save_steps",
        "launcher",
        "tracking",
        "evaluation",
        "gate",
    }
)
"""Settings of where it is done, found and filed, of memory for time, of how much a kill loses, and of how the model is judged. The content of
base and datasets counts by their versions."""

COUNT_WITH_PATIENCE = frozenset(
    {"data.max_validation_samples", "training.eval_steps", "training.early_stopping_threshold"}
)
"""Without patience all epochs are trained and the last step's adapter is kept, however often the validation loss is looked at, and on whatever."""


def fingerprint(recipe: Recipe, versions: Sequence[str], revision: str) -> str:
    """Return what makes two trainings the same: the settings that matter, the datasets' content, the base's weights."""
    # By former names, so that what was trained before settings were renamed is still found.
    parts = json.dumps([with_former_names(settings_of_weights(recipe)), versions, revision], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def settings_of_weights(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's settings that the weights depend on, nested as in the recipe."""
    content: dict[str, Any] = recipe.model_dump(mode="json")
    for name in ELSEWHERE | (frozenset() if recipe.training.early_stopping_patience else COUNT_WITH_PATIENCE):
        *sections, last = name.split(".")
        section: Any = content
        for inner in sections:
            section = section[inner] or {}
        section.pop(last, None)
    return content
