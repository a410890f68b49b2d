"""Training fingerprint: a digest of the settings, data and base that the trained weights depend on.

Where the training runs and how the model is judged do not count. Each setting of a recipe is in `WEIGHTS` or in
`ELSEWHERE`, by itself or with its whole section. The settings in `COUNT_WITH_PATIENCE` matter only with early
stopping.
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
"""Settings that change the weights. ``threads`` does, because sums round differently in another order."""

ELSEWHERE = frozenset(
    {
        "model.revision",
        "model.initial_adapter",
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
"""Settings that do not change the weights.

They say where the training runs, how it is tracked, how much memory it uses, how often it saves checkpoints, and how
the model is judged. The content of base, initial adapter and datasets counts by their versions.
"""

COUNT_WITH_PATIENCE = frozenset(
    {"data.max_validation_samples", "training.eval_steps", "training.early_stopping_threshold"}
)
"""Settings that count only with ``early_stopping_patience``.

Without it, all epochs are trained and the last step's adapter is kept, however often the validation loss is measured,
and on whatever samples.
"""


def fingerprint(recipe: Recipe, versions: Sequence[str], revision: str) -> str:
    """Return a digest of the settings that matter, *versions* and the base's *revision*.

    *versions* are those of the datasets, and the digest of the initial adapter if there is one.
    """
    # Under former names, so that runs from before the renaming are still found.
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
