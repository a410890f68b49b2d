"""Initial adapter: the trained model whose adapter a training begins with, instead of a new one.

Training changes that adapter's own matrices, as in PEFT's ``PeftModel.from_pretrained(…, is_trainable=True)``. So the
result is one adapter on the same base, and is evaluated and served like any other.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mlflow import MlflowClient

from snap2caption.errors import UserError
from snap2caption.registry.client import Registry
from snap2caption.registry.lineage import INHERITED, learned_from
from snap2caption.settings import Settings
from training.evaluation.candidates import EvaluatedModel, TrainedAdapter, find_trained
from training.fit.lora import load_initial_weights
from training.planning.precision import with_precision
from training.recipes.fingerprint import fingerprint
from training.recipes.recipe import Recipe
from training.recipes.sections import LoraSettings, Precision
from training.tracking.runs import FINGERPRINT, INITIAL_ADAPTER, INITIAL_RUN, connect, explain_mlflow_errors


@dataclass(frozen=True, slots=True)
class InitialAdapter:
    """The adapter of a finished run, and the dataset versions that it learned from, its own beginnings included."""

    model: EvaluatedModel
    run_id: str
    digest: str
    versions: tuple[str, ...]

    def tags(self) -> dict[str, str]:
        """Return the tags of a run that begins with it."""
        return {INITIAL_RUN: self.run_id, INITIAL_ADAPTER: self.digest, INHERITED: ",".join(self.versions)}

    @contextmanager
    def downloaded(self) -> Iterator[Path]:
        """Download the adapter, and yield its folder.

        Raises:
            UserError: it is missing, or changed after it was logged.
        """
        with self.model.downloaded() as folder:
            assert folder is not None  # noqa: S101 - it was trained
            yield folder

    def check(self, model: Any, settings: LoraSettings) -> None:
        """Check that *model*, a base of fake tensors with an adapter by *settings*, can take it.

        Raises:
            UserError: it can't, or the adapter is missing or damaged.
        """
        with self.downloaded() as folder:
            load_initial_weights(model, settings, folder)


def find_initial_adapter(
    recipe: Recipe, settings: Settings, versions: list[str], revision: str
) -> InitialAdapter | None:
    """Return the adapter that ``model.initial_adapter`` names, or None if the recipe names none.

    An alias may by now name the very model that this recipe made, since it was promoted. Then it is the adapter that
    this one began with, so that the same command returns the same run.

    Args:
        recipe: the recipe.
        settings: the settings with MLflow's address.
        versions: the dataset versions to train on.
        revision: the base's revision.

    Raises:
        UserError: there is no such model, or it belongs to another base.
    """
    reference = recipe.model.initial_adapter
    if reference is None:
        return None
    uri = settings.mlflow_tracking_uri
    with explain_mlflow_errors(uri):
        client, registry = connect(uri), Registry(uri, settings.registered_model)
        found, tags = _find(reference, client, registry)
        while _is_result(tags, recipe, versions, revision):
            found, tags = _find(tags[INITIAL_RUN], client, registry)
    base = recipe.model.base
    if (found.model.base, found.model.revision) != (base, revision):
        raise UserError(
            f"model.initial_adapter={reference} was trained on {found.model.base} in revision {found.model.revision}, "
            f"and the recipe's base is {base} in revision {revision}; name a model on that base, or change model.base."
        )
    return found


def _find(reference: str, client: MlflowClient, registry: Registry) -> tuple[InitialAdapter, Mapping[str, str]]:
    model = find_trained(reference, client, registry)
    assert isinstance(model.adapter, TrainedAdapter)  # noqa: S101 - it was trained
    assert model.run_id is not None  # noqa: S101
    tags = client.get_run(model.run_id).data.tags
    return InitialAdapter(model, model.run_id, model.adapter.digest, learned_from(tags)), tags


def _is_result(tags: Mapping[str, str], recipe: Recipe, versions: list[str], revision: str) -> bool:
    """Return whether a run with *tags* is what *recipe* made, from the adapter that the run itself began with."""
    if INITIAL_ADAPTER not in tags:
        return False
    precisions = get_args(Precision) if recipe.training.precision == "auto" else (recipe.training.precision,)
    return tags.get(FINGERPRINT) in {
        fingerprint(with_precision(recipe, precision), [*versions, tags[INITIAL_ADAPTER]], revision)
        for precision in precisions
    }
