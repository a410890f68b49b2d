"""Evaluation benchmark: sorted batches (`training.evaluation.evaluate`) and a loop over single photos."""

from benchmarks.table import TableRow, compare
from demo.corpus.pairs import make_pair
from snap2caption.datasets.shards import Sample
from snap2caption.images import decode
from snap2caption.post import parse
from snap2caption.settings import Settings
from snap2caption.vlm import Decoding, load
from training.data.samples import evaluation_prompt
from training.evaluation.evaluate import write_captions
from training.recipes.sections import EvaluationSettings

PHOTOS, BATCH = 48, 16


def run() -> TableRow:
    """Compare on the demo base and rendered photos, like those of a corpus split. Both must write the same texts."""
    vlm = load("demo-base", Settings().models_dir)
    pairs = [make_pair(0, number) for number in range(PHOTOS)]
    samples = [Sample(pair.id, pair.scene.city.value, parse(pair.caption.decode()), pair.image) for pair in pairs]
    settings = EvaluationSettings(batch_size=BATCH)
    decoding = Decoding(max_new_tokens=settings.max_new_tokens)

    def batched() -> list[str]:
        return [answer.text for answer in write_captions(vlm, samples, settings).written]

    def one_by_one() -> list[str]:
        return [
            vlm.generate([decode(sample.photo())], [evaluation_prompt(sample)], decoding)[0].text for sample in samples
        ]

    if batched() != one_by_one():
        raise AssertionError("Captions in batches differ from those written one by one.")
    return compare(
        f"{PHOTOS} captions of a test split in batches of {BATCH}, demo base, CPU",
        "generate, one photo at a time",
        batched,
        one_by_one,
        runs=3,
    )
