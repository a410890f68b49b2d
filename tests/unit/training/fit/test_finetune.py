import os
import random
import shutil
import signal
import time
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from patience import LONGEST
from safetensors.torch import load_file
from seeing import sure_loss_by_another_photo
from tiny import write_dataset
from training_process import start

from snap2caption.errors import StoppedError, UserError
from training.data.collator import SampleCollator
from training.data.samples import CachedDataset, SplitSelection, evaluation_prompt, training_prompt
from training.data.stream import SampleStream
from training.fit.checkpoints import Checkpoints
from training.fit.finetune import finetune
from training.fit.loss import mean_answer_loss

pytestmark = pytest.mark.unit

ROUNDS = int(os.environ.get("CHAOS_TRAINING_ROUNDS", "3"))
"""How often a training is killed; `make chaos-training` kills it many times."""
FEWER = max(1, ROUNDS // 3)


@pytest.fixture
def run(load_tiny, dataset, recipe):
    def run_it(work_dir, report=lambda *_: None, **changes):
        changed = recipe.model_copy(update={"training": recipe.training.model_copy(update=changes)})
        vlm = load_tiny()
        adapter = finetune(vlm, dataset.samples("train"), dataset.samples("validation"), changed, work_dir, report)
        return vlm, adapter

    return run_it


@pytest.fixture
def run_streamed(load_tiny, recipe, tmp_path):
    write_dataset(tmp_path / "v1", {"train": [20, 16, 12], "validation": 9, "test": 3})
    dataset = CachedDataset.open(str(tmp_path / "v1"), tmp_path / "shards")

    def run_it(work_dir, report=lambda *_: None):
        settings = recipe.training
        stream = SampleStream(
            dataset.source,
            SplitSelection("train"),
            batch_size=settings.global_micro_batch_size,
            seed=settings.seed,
            scratch=work_dir / "stream",
        )
        return finetune(load_tiny(), stream, dataset.samples("validation"), recipe, work_dir, report)

    return run_it


def weights(adapter: Path) -> dict[str, torch.Tensor]:
    return load_file(adapter / "adapter_model.safetensors")


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_to_tell_the_pictures_apart(run, load_tiny, dataset, tmp_path):
    losses = []
    vlm, adapter = run(tmp_path, lambda metrics, _: losses.append(metrics), num_train_epochs=6)
    validation = [metrics["validation/loss"] for metrics in losses if "validation/loss" in metrics]
    assert len(validation) == 6
    assert validation[-1] < validation[0]

    batch = SampleCollator(vlm, evaluation_prompt)(dataset.samples("test"))
    # Trained without seeing them, it loses 0.04 by another's photo; seeing them, 0.33.
    assert sure_loss_by_another_photo(vlm, dataset.samples("test")) > 0.04

    reloaded = load_tiny(adapter)
    with torch.no_grad():
        assert torch.equal(vlm.model(**batch).logits, reloaded.model(**batch).logits)


def test_the_same_seed_gives_the_same_weights(run, tmp_path):
    first = run(tmp_path / "a", num_train_epochs=1)[1]
    assert same(first, run(tmp_path / "b", num_train_epochs=1)[1])
    assert not same(first, run(tmp_path / "c", num_train_epochs=1, seed=8)[1])


def test_accumulation_equals_a_larger_batch(run, tmp_path):
    whole = weights(run(tmp_path / "a", num_train_epochs=1, global_micro_batch_size=8, learning_rate=1e-4)[1])
    pieces = weights(
        run(
            tmp_path / "b",
            num_train_epochs=1,
            global_micro_batch_size=4,
            gradient_accumulation_steps=2,
            learning_rate=1e-4,
        )[1]
    )
    # Dropout draws other masks; without it the two would be equal but for rounding.
    assert all(torch.allclose(whole[name], pieces[name], atol=1e-3) for name in whole)


def test_features_kept_or_not_the_result_is_the_same(run, tmp_path):
    kept = weights(run(tmp_path / "a", num_train_epochs=1)[1])
    recomputed = weights(run(tmp_path / "b", num_train_epochs=1, feature_cache_gib=0)[1])
    assert all(torch.allclose(kept[name], recomputed[name], atol=1e-4) for name in kept)


WILD = {"num_train_epochs": 9, "learning_rate": 0.3, "early_stopping_patience": 2}
"""Settings with which the loss overshoots, so that the training is stopped early."""


@pytest.mark.parametrize(
    ("rounds", "stream", "changes", "goes_on"),
    [(ROUNDS, False, {}, False), (FEWER, True, {}, False), (FEWER, False, WILD, False), (FEWER, False, {}, True)],
    ids=["cached", "streamed", "early stopping", "initial adapter"],
)
def test_killed_again_and_again_it_ends_with_the_same_weights(
    run, recipe, models_dir, tmp_path, rounds, stream, changes, goes_on
):
    initial = run(tmp_path / "initial", num_train_epochs=1, seed=8)[1] if goes_on else None
    settings = recipe.training.model_copy(update={"num_train_epochs": 3, "save_steps": 2, **changes})
    data = recipe.data.model_copy(update={"stream": stream})
    text = recipe.model_copy(update={"training": settings, "data": data}).dump()
    rng = random.Random(stream)
    work_dir = tmp_path / "work"
    for number in range(rounds):
        process = start(text, models_dir, work_dir, initial=initial)
        # Every other time while a checkpoint is being written, else at a random moment.
        soon = max(Checkpoints(work_dir).steps(), default=0) + 2 * rng.randint(1, 3)
        while process.is_alive() and not any(work_dir.glob(f"checkpoint-{soon}")):
            time.sleep(0.0005)
        if number % 2:
            time.sleep(rng.uniform(0, 0.2))
        process.kill()
        assert ends(process) in (-signal.SIGKILL, 0)
    assert ends(start(text, models_dir, work_dir, initial=initial)) == 0
    assert ends(start(text, models_dir, tmp_path / "whole", initial=initial)) == 0
    assert same(work_dir / "adapter", tmp_path / "whole" / "adapter")


def ends(process: BaseProcess) -> int | None:
    process.join(LONGEST)
    return process.exitcode


@pytest.mark.parametrize(("asked_at", "saved_at"), [(5, 6), (6, 7)], ids=["at the end of an epoch", "in its middle"])
def test_asked_to_stop_it_saves_and_goes_on(run, tmp_path, asked_at, saved_at):
    measured: dict[str, dict[int, float]] = {"whole": {}, "work": {}}

    def report_of(name, asked_at=None):
        def report(metrics, step):
            if "validation/loss" in metrics:
                measured[name][step] = metrics["validation/loss"]
            if step == asked_at:
                os.kill(os.getpid(), signal.SIGTERM)

        return report

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match="was stopped and saved a checkpoint"):
        run(tmp_path / "work", report_of("work", asked_at))
    assert signal.getsignal(signal.SIGTERM) is before
    assert Checkpoints(tmp_path / "work").steps()[-1] == saved_at
    # Who stops a training may not wait until the loss has been measured.
    assert list(measured["work"]) == [step for step in (6,) if step < saved_at]
    resumed = run(tmp_path / "work", report_of("work"))[1]
    assert same(resumed, run(tmp_path / "whole", report_of("whole"))[1])
    assert measured["work"] == measured["whole"]


def test_the_best_is_kept_once_the_loss_has_stopped_falling(run, load_tiny, dataset, tmp_path):
    told: list[tuple[int, float]] = []

    def report(metrics, step):
        if "validation/loss" in metrics:
            told.append((step, metrics["validation/loss"]))

    wild = {**WILD, "eval_steps": 3}
    vlm, adapter = run(tmp_path / "work", report, **wild)
    steps, losses = zip(*told, strict=True)
    assert list(steps) == list(range(3, 3 * len(steps) + 1, 3))
    best = losses.index(min(losses))
    assert best < len(losses) - 2 or len(steps) < 18
    assert losses[-1] > losses[best]
    assert Checkpoints(tmp_path / "work").steps()[0] == steps[best]
    collate = SampleCollator(vlm, partial(training_prompt, seed=7))
    for model in (vlm.model, load_tiny(adapter).model):
        assert mean_answer_loss(model, [collate(dataset.samples("validation"))]) == pytest.approx(
            losses[best], rel=1e-4
        )

    # It was over: the same again trains no further, though the adapter is lost.
    shutil.rmtree(adapter)
    told.clear()
    assert same(run(tmp_path / "work", report, **wild)[1], adapter)
    assert told == []


def test_from_a_stream_it_goes_on_in_the_middle_of_an_epoch(run_streamed, tmp_path, caplog):
    losses = []
    whole = run_streamed(tmp_path / "whole", lambda metrics, _: losses.append(metrics))
    validation = [metrics["validation/loss"] for metrics in losses if "validation/loss" in metrics]
    assert validation[1] < validation[0]
    assert not list((tmp_path / "whole" / "stream").iterdir())

    def terminate(_, step):
        if step == 10:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError):
        run_streamed(tmp_path / "work", terminate)
    assert Checkpoints(tmp_path / "work").steps()[-1] == 11
    caplog.clear()
    with caplog.at_level("INFO"):
        resumed = run_streamed(tmp_path / "work")
    assert same(resumed, whole)
    # The last batch alone was left: not all of the three shards were fetched again, beside the validation's.
    assert caplog.text.count("fetching") < 3


def test_bfloat16_trains(run, tmp_path):
    losses = []
    run(tmp_path, lambda metrics, _: losses.append(metrics), num_train_epochs=1, precision="bfloat16")
    assert all(value == value for metrics in losses for value in metrics.values())


def test_answers_without_room_in_evaluation_are_refused(load_tiny, dataset, recipe, tmp_path):
    asked = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"max_new_tokens": 500})})
    with pytest.raises(UserError, match=r"context of 512 tokens.*lower max_new_tokens to \d+ at most"):
        finetune(load_tiny(), dataset.samples("train"), dataset.samples("validation"), asked, tmp_path, lambda *_: None)
    assert not list(tmp_path.glob("checkpoint-*"))


@pytest.mark.parametrize("kept", [True, False])
def test_a_training_that_diverges_stops_and_saves_nothing(run, tmp_path, kept):
    told: list[float] = []
    changes = {} if kept else {"feature_cache_gib": 0.0}
    with pytest.raises(UserError, match=r"loss is not a finite number after step \d+: .* Lower training.learning_rate"):
        run(
            tmp_path / "work",
            lambda metrics, _: told.extend(metrics.values()),
            learning_rate=1e30,
            warmup_ratio=0.0,
            save_steps=1,
            **changes,
        )
    assert not (tmp_path / "work" / "adapter").exists()
    saved = (tmp_path / "work").glob("checkpoint-*/adapter_model.safetensors")
    assert all(weight.isfinite().all() for file in saved for weight in load_file(file).values())
    # Nor is it told as a loss of 0.
    assert 0.0 not in told


def test_a_validation_loss_that_is_no_number_ends_the_training(load_tiny, dataset, recipe, tmp_path):
    vlm = load_tiny()
    with torch.no_grad():
        vlm.model.get_output_embeddings().weight.fill_(float("nan"))
    idle = recipe.model_copy(update={"training": recipe.training.model_copy(update={"learning_rate": 0.0})})
    with pytest.raises(UserError, match="loss is not a finite number"):
        finetune(vlm, dataset.samples("train"), dataset.samples("validation"), idle, tmp_path, lambda *_: None)
