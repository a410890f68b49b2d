"""GPU fine-tuning benchmark against TRL's SFTTrainer, on LLaVA-1.5-7B's shape with random weights, in bfloat16.

``python -m benchmarks.training.gpu [KEY=VALUE…]``. The overrides are those of a recipe, such as
``training.global_micro_batch_size=8``. No model hub is needed. On a machine without a GPU, ``--shape llava-tiny``
tries out the script.

Model FLOP utilization is the operations per sample (see `flops.py`) times samples per second, divided by the card's
peak.
"""

import argparse

import torch

from benchmarks.training.shapes import SHAPES
from benchmarks.training.workload import Engine, TrainingMeasurement, Workload, measure
from snap2caption.settings import Settings
from training.recipes.loading import load_recipe

PEAK_TFLOPS = {
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.4,
    "H200": 989.4,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "RTX 4090": 165.2,
}
"""Peak TFLOP/s in dense bfloat16, by NVIDIA's data sheets, which give twice that for some cards, with sparsity.

The first name that is part of the card's name counts.
"""

STEPS = 20
"""Of each training; the loss is reported at each fifth, and timed from the first report to the last."""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings of configs/llava-1.5-7b.yaml")
    parser.add_argument("--shape", choices=list(SHAPES), default="llava-1.5-7b")
    parser.add_argument("--engines", nargs="+", choices=["ours", "trl"], default=["ours", "trl"])
    parser.add_argument("--peak-tflops", type=float, help="peak of the card, for cards that are not in the table")
    asked = parser.parse_args()
    recipe = load_recipe(
        Settings().configs_dir / "llava-1.5-7b.yaml", ["training.num_train_epochs=1", *asked.overrides]
    )
    photos = STEPS * recipe.training.global_micro_batch_size * recipe.training.gradient_accumulation_steps
    workload = Workload(
        shape=asked.shape, photos=photos, validation=recipe.training.global_micro_batch_size, recipe=recipe
    )
    engines: list[Engine] = asked.engines
    results = {engine: measure(engine, workload) for engine in engines}
    device = next(iter(results.values())).device
    peak = asked.peak_tflops or find_peak(device)
    print(
        f"{asked.shape}, {recipe.training.precision}, batches of {recipe.training.global_micro_batch_size}, "
        f"LoRA rank {recipe.model.lora.r}, on {device}, torch {torch.__version__}; peak {'unknown' if peak is None else f'{peak} TFLOP/s'}\n"
    )
    print(table(results, peak))


def find_peak(device: str) -> float | None:
    """Return the peak of the card called *device* in TFLOP/s, or None if it is not known."""
    return next((peak for name, peak in PEAK_TFLOPS.items() if name in device), None)


def table(results: dict[Engine, TrainingMeasurement], peak: float | None) -> str:
    """Return the results as a Markdown table; *peak* is the card's, in TFLOP/s."""
    lines = [
        "| trainer | samples/s | tokens/s | TFLOP per sample | model FLOP utilization | peak memory "
        "| loss after training |",
        "|---|---|---|---|---|---|---|",
    ]
    for engine, measured in results.items():
        rate = measured.steady_rate or measured.rate
        used = "-" if peak is None else f"{rate * measured.flops / (peak * 1e12):.1%}"
        memory = (measured.device_bytes or measured.peak_bytes) / 1e9
        lines.append(
            f"| {engine} | {rate:.2f} | {rate * measured.tokens:.0f} | {measured.flops / 1e12:.3g} | {used} "
            f"| {memory:.1f} GB | {measured.loss:.4f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
