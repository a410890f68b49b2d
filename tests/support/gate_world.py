"""What the gate's scenarios are played with: trained runs, copies of them, and ways to alter a stored evaluation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from mlflow import MlflowClient

from snap2caption.settings import Settings
from training.evaluation.candidates import find_trained
from training.evaluation.evaluate import Evaluation
from training.gate.promotion import open_registry
from training.recipes.recipe import Recipe
from training.tracking.runs import CANDIDATE, RECIPE, RunLog, read_artifact


@dataclass(frozen=True)
class World:
    """Runs that were really trained: `learned` writes posts as people did, `idle` learned nothing and babbles on,
    `elsewhere` saw another dataset,
    `deep` is on a base with twelve times as many layers.
    """

    settings: Settings
    client: MlflowClient
    artifacts: Path
    learned: str
    idle: str
    elsewhere: str
    deep: str

    def copy(
        self,
        run_id: str,
        alter: Callable[[Evaluation], Evaluation] | None = None,
        adapter: bool = False,
        **gate: object,
    ) -> str:
        """Start a run like *run_id*, with its model (a copy of its own, if *adapter*) and its evaluation, altered,
        and these rules.
        """
        tags = self.client.get_run(run_id).data.tags
        kept = {name: value for name, value in tags.items() if not name.startswith(("mlflow.", "gate."))}
        experiment = self.client.get_experiment(self.client.get_run(run_id).info.experiment_id).name
        log = RunLog.start(self.client, experiment, kept)
        recipe = Recipe.model_validate(yaml.safe_load(read_artifact(self.client, run_id, RECIPE)))
        rules = recipe.gate.model_copy(update=gate)
        log.text(recipe.model_copy(update={"gate": rules}).dump(), RECIPE)
        evaluation = self.evaluation(run_id, CANDIDATE).model_copy(update={"model": f"run:{log.run_id}"})
        log.text((alter or (lambda same: same))(evaluation).model_dump_json(), CANDIDATE)
        if adapter:
            with find_trained(run_id, self.client, open_registry(self.settings)).downloaded() as folder:
                log.model(folder, tags["base"], tags["base_revision"])
        self.client.set_terminated(log.run_id)
        return log.run_id

    def evaluation(self, run_id: str, artifact: str) -> Evaluation:
        return Evaluation.model_validate_json(read_artifact(self.client, run_id, artifact))

    def damage(self, run_id: str) -> None:
        """Cut the run's adapter off in the middle, in the artifact store."""
        model_id = self.client.get_run(run_id).data.tags["model_uri"].removeprefix("models:/")
        (folder,) = self.artifacts.glob(f"*/models/{model_id}")
        (weights,) = folder.rglob("adapter_model.safetensors")
        weights.write_bytes(weights.read_bytes()[:-100])


def raised(gain: float) -> Callable[[Evaluation], Evaluation]:
    """Every caption's CIDEr is higher by *gain*."""

    def alter(evaluation: Evaluation) -> Evaluation:
        return with_ciders(evaluation, {row.id: row.cider + gain for row in evaluation.rows})

    return alter


def with_ciders(evaluation: Evaluation, ciders: dict[str, float]) -> Evaluation:
    rows = tuple(row.model_copy(update={"cider": ciders[row.id]}) for row in evaluation.rows)

    def mean(city: str | None = None) -> float:
        chosen = [row.cider for row in rows if city in {None, row.city}]
        return sum(chosen) / len(chosen)

    cities = {city: found.model_copy(update={"cider": mean(city)}) for city, found in evaluation.cities.items()}
    overall = evaluation.overall.model_copy(update={"cider": mean()})
    return evaluation.model_copy(update={"rows": rows, "cities": cities, "overall": overall})


def one_city_collapsed(evaluation: Evaluation) -> Evaluation:
    return with_ciders(
        evaluation, {row.id: row.cider * (0.8 if row.city == "chicago" else 3.0) for row in evaluation.rows}
    )


def by_chance(evaluation: Evaluation) -> Evaluation:
    """One caption is far better, the others are a little worse."""
    lucky = evaluation.rows[0].id
    return with_ciders(
        evaluation, {row.id: row.cider + 1.0 if row.id == lucky else row.cider * 0.95 for row in evaluation.rows}
    )


def with_hashtags(valid: float, gain: float = 0.0) -> Callable[[Evaluation], Evaluation]:
    """A share of the posts has enough valid hashtags; and every caption's CIDEr is higher by *gain*."""

    def alter(evaluation: Evaluation) -> Evaluation:
        better = raised(gain)(evaluation)
        return better.model_copy(update={"overall": better.overall.model_copy(update={"hashtags_valid": valid})})

    return alter


def by_one_group(evaluation: Evaluation) -> Evaluation:
    """Half of the photos are copies of one, of which its caption is better; of the others it is neither better nor
    worse.
    """
    copies = {row.id for row in evaluation.rows[::2]}
    better = with_ciders(
        evaluation, {row.id: row.cider + (1.0 if row.id in copies else 0.0) for row in evaluation.rows}
    )
    rows = (row.model_copy(update={"group": "copies"}) if row.id in copies else row for row in better.rows)
    return better.model_copy(update={"rows": tuple(rows)})
