import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import write_dataset

from training.collate import SampleCollator
from training.data import CachedDataset, Selection, chunks, evaluation_prompt
from training.finetune import COMPLETE, EpochOrder, StoppedError, finetune, last_checkpoint
from training.loss import mean_answer_loss
from training.stream import SampleStream

pytestmark = pytest.mark.unit

KILLED = """
import os, signal, sys
from pathlib import Path
from snap2caption.vlm import load
from training.data import CachedDataset
from training.finetune import finetune
from training.recipe import load_recipe

models, work, cache, recipe_file = map(Path, sys.argv[1:])
recipe = load_recipe(recipe_file)
dataset = CachedDataset.open(recipe.data.version_uri(), cache)

def report(metrics, step):
    if step == 10:
        os.kill(os.getpid(), signal.SIGKILL)

finetune(load("tiny-llava", models), dataset.samples("train"), dataset.samples("validation"), recipe, work, report)
"""


@pytest.fixture
def run(load_tiny, dataset, recipe):
    def run_it(work_dir, report=lambda *_: None, **changes):
        changed = recipe.model_copy(update={"optimiser": recipe.optimiser.model_copy(update=changes)})
        vlm = load_tiny()
        adapter = finetune(vlm, dataset.samples("train"), dataset.samples("validation"), changed, work_dir, report)
        return vlm, adapter

    return run_it


@pytest.fixture
def run_streamed(load_tiny, recipe, tmp_path):
    write_dataset(tmp_path / "v1", {"train": [20, 16, 12], "validation": 9, "test": 3})
    dataset = CachedDataset.open(str(tmp_path / "v1"), tmp_path / "shards")

    def run_it(work_dir, report=lambda *_: None):
        settings = recipe.optimiser
        stream = SampleStream(
            dataset.source,
            Selection("train"),
            batch_size=settings.batch_size,
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
    vlm, adapter = run(tmp_path, lambda metrics, _: losses.append(metrics), epochs=6)
    validation = [metrics["validation/loss"] for metrics in losses if "validation/loss" in metrics]
    assert len(validation) == 6
    assert validation[-1] < validation[0]

    batch = SampleCollator(vlm, evaluation_prompt)(dataset.samples("test"))
    shuffled = batch | {"pixel_values": batch["pixel_values"].roll(1, dims=0)}
    assert mean_answer_loss(vlm.model, [shuffled]) > mean_answer_loss(vlm.model, [batch]) + 0.01

    reloaded = load_tiny(adapter)
    with torch.no_grad():
        assert torch.equal(vlm.model(**batch).logits, reloaded.model(**batch).logits)


def test_the_same_seed_gives_the_same_weights_and_another_one_others(run, tmp_path):
    first = run(tmp_path / "a", epochs=1)[1]
    assert same(first, run(tmp_path / "b", epochs=1)[1])
    assert not same(first, run(tmp_path / "c", epochs=1, seed=8)[1])


def test_accumulation_equals_a_larger_batch(run, tmp_path):
    whole = weights(run(tmp_path / "a", epochs=1, batch_size=8, learning_rate=1e-4)[1])
    pieces = weights(run(tmp_path / "b", epochs=1, batch_size=4, accumulation=2, learning_rate=1e-4)[1])
    # Dropout draws other masks; without it the two would be equal but for rounding.
    assert all(torch.allclose(whole[name], pieces[name], atol=1e-3) for name in whole)


def test_features_kept_or_not_the_result_is_the_same(run, tmp_path):
    kept = weights(run(tmp_path / "a", epochs=1)[1])
    recomputed = weights(run(tmp_path / "b", epochs=1, feature_cache_gib=0)[1])
    assert all(torch.allclose(kept[name], recomputed[name], atol=1e-4) for name in kept)


def test_killed_and_resumed_it_ends_with_the_same_weights(run, recipe, models_dir, tmp_path):
    recipe_file = tmp_path / "recipe.yaml"
    recipe_file.write_text(recipe.dump())
    arguments = [models_dir, tmp_path / "work", tmp_path / "cache", recipe_file]
    killed = subprocess.run([sys.executable, "-c", KILLED, *map(str, arguments)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert last_checkpoint(tmp_path / "work") == str(tmp_path / "work" / "checkpoint-6")

    steps = []
    resumed = run(tmp_path / "work", lambda _, step: steps.append(step))[1]
    assert min(steps) > 6
    assert same(resumed, run(tmp_path / "whole")[1])


def test_asked_to_stop_it_saves_and_goes_on_in_the_middle_of_an_epoch(run, tmp_path):
    def terminate(_, step):
        if step == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match="has saved a checkpoint"):
        run(tmp_path / "work", terminate)
    assert signal.getsignal(signal.SIGTERM) is before
    assert last_checkpoint(tmp_path / "work") == str(tmp_path / "work" / "checkpoint-7")
    assert same(run(tmp_path / "work")[1], run(tmp_path / "whole")[1])


def test_from_a_stream_it_learns_and_goes_on_in_the_middle_of_an_epoch(run_streamed, tmp_path, caplog):
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
    assert last_checkpoint(tmp_path / "work") == str(tmp_path / "work" / "checkpoint-11")
    caplog.clear()
    with caplog.at_level("INFO"):
        resumed = run_streamed(tmp_path / "work")
    assert same(resumed, whole)
    # The last batch alone was left: not all of the three shards were fetched again, beside the validation's.
    assert caplog.text.count("fetching") < 3


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    for step, marked in ((6, True), (12, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if marked:
            (folder / COMPLETE).touch()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-6")
    assert last_checkpoint(tmp_path / "checkpoint-6") is None


def test_bfloat16_trains(run, tmp_path):
    losses = []
    run(tmp_path, lambda metrics, _: losses.append(metrics), epochs=1, precision="bfloat16")
    assert all(value == value for metrics in losses for value in metrics.values())


def test_each_epoch_has_every_sample_once_in_an_order_of_its_own():
    lengths = [(7 * index) % 50 for index in range(101)]
    order = EpochOrder(lengths, 4, seed=0)
    first = list(order)
    assert sorted(first) == list(range(101))
    assert list(order) == first
    order.epoch = 1
    assert list(order) != first
    # The last batch is the small one, and batches hold samples of like length.
    spreads = [max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in chunks(first, 4)]
    assert sum(spreads) / len(spreads) < 12
