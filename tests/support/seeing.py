"""Whether a model looks at its photos: what an answer's loss gains by another's photo."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from snap2caption.datasets.shards import Sample
from snap2caption.vlm import VisionLanguageModel
from training.data.collator import SampleCollator
from training.data.samples import evaluation_prompt
from training.evaluation.bootstrap import Bootstrap
from training.fit.loss import mean_answer_loss


def sure_loss_by_another_photo(vlm: VisionLanguageModel, samples: Sequence[Sample]) -> float:
    """Return by how much, at least, answers' loss is higher beside the photo of the sample before: the lower end of
    the mean's interval at 99 %.
    """
    collate = SampleCollator(vlm, evaluation_prompt)

    def losses(asked: Iterable[Sample]) -> list[float]:
        return [mean_answer_loss(vlm.model, [collate([sample])]) for sample in asked]

    others = [replace(sample, content=samples[number - 1].content) for number, sample in enumerate(samples)]
    return Bootstrap(confidence=0.99).mean(np.subtract(losses(others), losses(samples))).low
