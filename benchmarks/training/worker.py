"""Training worker: it runs one training in this process, and prints the measurements as JSON.

Usage: ``python -m benchmarks.training.worker ours|trl|trl-default < WORKLOAD``.
"""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from benchmarks.training import flops, photos, shapes
from benchmarks.training.workload import Engine, TrainingMeasurement, Workload
from training.data.collator import SampleCollator
from training.data.samples import chunks, training_prompt
from training.fit import finetune
from training.fit.loss import mean_answer_loss


def main(engine: Engine, workload: Workload) -> TrainingMeasurement:
    """Train by *engine*."""
    settings = workload.recipe.training
    precision = settings.dtype
    if engine == "ours":
        train = finetune.finetune
    else:
        from benchmarks.training import sft

        train = partial(sft.finetune, by_default=engine == "trl-default")
        if engine == "trl-default":
            # SFTTrainer loads a model by name in the checkpoint's precision, which is this one.
            precision = "bfloat16"
    samples, validation = photos.draw(workload.photos, seed=1), photos.draw(workload.validation, seed=2)
    vlm = shapes.build(workload.shape, precision)
    marks: list[tuple[int, float]] = []

    def report(metrics: dict[str, float], step: int) -> None:
        print(f"{engine}: step {step}: {metrics}", file=sys.stderr)
        if "train/loss" in metrics:
            marks.append((step, time.perf_counter()))

    with tempfile.TemporaryDirectory() as folder:
        started, processor = time.perf_counter(), time.process_time()
        train(vlm, samples, validation, workload.recipe, Path(folder), report)
        seconds, processor_seconds = time.perf_counter() - started, time.process_time() - processor
    # Before anything else is computed here.
    peak, device_peak = _peak(), torch.cuda.max_memory_reserved() if torch.cuda.is_available() else None
    collate = SampleCollator(vlm, partial(training_prompt, seed=settings.seed))
    sample = flops.describe(vlm, collate(samples[: settings.global_micro_batch_size]))
    held_out = (collate(chunk) for chunk in chunks(validation, settings.global_micro_batch_size))
    return TrainingMeasurement(
        seconds=seconds,
        processor_seconds=processor_seconds,
        samples=len(samples) * settings.num_train_epochs,
        steady_rate=_rate(marks, settings.global_micro_batch_size * settings.gradient_accumulation_steps),
        tokens=sample.tokens,
        flops=flops.count(vlm.model, sample).total,
        peak_bytes=peak,
        device_bytes=device_peak,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        loss=mean_answer_loss(vlm.model, held_out),
    )


def _rate(marks: list[tuple[int, float]], step: int) -> float | None:
    if len(marks) < 2:
        return None
    (first_step, first), (last_step, last) = marks[0], marks[-1]
    return (last_step - first_step) * step / (last - first)


def _peak() -> int:
    """Return this program's peak resident memory. `getrusage` would include the process before it ran this program."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    assert sys.argv[1] in ("ours", "trl", "trl-default")  # noqa: S101 - not called by hand
    print(main(sys.argv[1], Workload.model_validate_json(sys.stdin.read())).model_dump_json())
