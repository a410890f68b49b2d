"""CPU fine-tuning benchmark against TRL's SFTTrainer, on a model of SmolVLM-256M's shape.

``python -m benchmarks.training.smolvlm --splitting --photos 2`` measures the model as published, which splits a
photo into 17 frames. This takes long.
"""

import argparse
import statistics
from collections.abc import Callable

from benchmarks.table import TableRow, markdown
from benchmarks.training.workload import Engine, TrainingMeasurement, Workload, measure
from snap2caption.settings import Settings
from training.planning.precision import choose_precision, with_precision
from training.recipes.loading import load_recipe

SAME_LOSS = {"float32": 1e-3, "bfloat16": 1e-2}
"""By how much, in parts of one, the losses may differ: the same numbers are added up in another order, and rounded."""

ENGINES: tuple[Engine, ...] = ("ours", "trl", "trl-default")


def workload(epochs: int, photos: int, *, splitting: bool, precision: str) -> Workload:
    """Return the workload of ``configs/smolvlm-256m-cpu.yaml`` on few *photos*, in small batches, over *epochs*."""
    settings = {
        "num_train_epochs": epochs,
        "global_micro_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "threads": 2,
        "feature_cache_gib": 4,
        "precision": precision,
    }
    overrides = [f"training.{name}={value}" for name, value in settings.items()]
    recipe = load_recipe(Settings().configs_dir / "smolvlm-256m-cpu.yaml", overrides)
    recipe = with_precision(recipe, choose_precision(recipe).precision)
    shape = "smolvlm-256m" if splitting else "smolvlm-256m-unsplit"
    return Workload(shape=shape, photos=photos, validation=recipe.training.global_micro_batch_size, recipe=recipe)


def run(
    epochs: int, photos: int = 8, runs: int = 3, *, splitting: bool = False, precision: str = "auto"
) -> list[TableRow]:
    """Compare speed, memory and loss over *runs*, in turn, with TRL in the same precision and with TRL's defaults.

    Raises:
        SystemExit: the losses differ.
    """
    asked = workload(epochs, photos, splitting=splitting, precision=precision)
    dtype = asked.recipe.training.dtype
    rounds = [{engine: measure(engine, asked) for engine in ENGINES} for _ in range(runs)]
    for measured in rounds:
        ours, theirs = measured["ours"].loss, measured["trl"].loss
        if abs(ours - theirs) > SAME_LOSS[dtype] * theirs:
            raise SystemExit(f"The losses differ: ours is {ours}, TRL's {theirs}.")
    frames = "17 frames" if splitting else "1 frame"
    what = (
        f"SmolVLM-256M shape in {dtype}, {frames} a photo, {photos} photos, "
        f"{epochs} {'epoch' if epochs == 1 else 'epochs'}"
    )
    rows = []
    for engine, peer in (("trl", "TRL SFTTrainer"), ("trl-default", "TRL SFTTrainer, its defaults")):
        pairs = [(measured["ours"], measured[engine]) for measured in rounds]
        rows += [
            _row(f"{what}: speed", "samples/s", peer, pairs, lambda measured: measured.rate, more_is_better=True),
            _row(
                f"{what}: processor time a sample",
                "s",
                peer,
                pairs,
                lambda measured: measured.processor_seconds / measured.samples,
            ),
            _row(f"{what}: peak memory", "GB", peer, pairs, lambda measured: measured.peak_bytes / 1e9),
            _row(f"{what}: loss after training", "nats", peer, pairs, lambda measured: measured.loss),
        ]
    return rows


def _row(
    what: str,
    unit: str,
    peer: str,
    pairs: list[tuple[TrainingMeasurement, TrainingMeasurement]],
    value: Callable[[TrainingMeasurement], float],
    *,
    more_is_better: bool = False,
) -> TableRow:
    values = [(value(ours), value(theirs)) for ours, theirs in pairs]
    ratio = statistics.median(ours / theirs if more_is_better else theirs / ours for ours, theirs in values)
    mine, others = zip(*values, strict=True)
    return TableRow(what, peer, statistics.median(mine), statistics.median(others), ratio, unit)


def main() -> None:
    """Print the table for what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splitting", action="store_true", help="17 frames per photo, as published, instead of 1")
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3, help="runs per trainer, in turn")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    asked = parser.parse_args()
    rows = run(asked.epochs, asked.photos, asked.runs, splitting=asked.splitting, precision=asked.precision)
    print(markdown(rows))


if __name__ == "__main__":
    main()
