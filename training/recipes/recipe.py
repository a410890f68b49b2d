"""Training recipe: all settings of a training run, validated together before anything heavy is loaded."""

import json
from typing import Self

from pydantic import model_validator

from snap2caption.formats import strict_yaml
from training.recipes.sections import (
    DataSettings,
    EvaluationSettings,
    GateSettings,
    LauncherSettings,
    ModelSettings,
    RecipeSection,
    TrackingSettings,
    TrainingSettings,
)


class EvaluationRecipe(RecipeSection):
    """The sections of a recipe that say how a model is judged. They may change after it is trained."""

    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()


class Recipe(RecipeSection):
    """All settings of a training run."""

    model: ModelSettings
    data: DataSettings = DataSettings()
    training: TrainingSettings = TrainingSettings()
    tracking: TrackingSettings = TrackingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    launcher: LauncherSettings = LauncherSettings()

    @model_validator(mode="after")
    def _shares_are_whole(self) -> Self:
        self.share_of_batch((self.launcher.processes or 1) * self.launcher.nodes)
        return self

    def share_of_batch(self, processes: int) -> int:
        """Return the number of samples of a batch that each of *processes* gets.

        Raises:
            ValueError: the batch can't be divided evenly.
        """
        share, left = divmod(self.training.global_micro_batch_size, processes)
        if left:
            raise ValueError(
                f"training.global_micro_batch_size is {self.training.global_micro_batch_size}, "
                f"which {processes} processes can't share evenly; "
                f"make it a multiple of {processes}"
            )
        return share

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.model.load_in_4bit and self.training.precision == "float32":
            raise ValueError("model.load_in_4bit computes in 16 bits; set training.precision=bfloat16 as well")
        if self.data.feedback and self.data.stream:
            raise ValueError(
                "data.feedback can't be mixed into a stream; set data.stream=false, or leave data.feedback out"
            )
        return self

    def dump(self) -> str:
        """Return the recipe as YAML, with every setting spelled out."""
        return strict_yaml.dump(json.loads(self.model_dump_json()))
