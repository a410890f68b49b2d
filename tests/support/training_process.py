"""Fine-tuning in processes of their own, which can be killed."""

import json
import os
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import forks


def start(
    recipe: str,
    models_dir: Path,
    work_dir: Path,
    variables: dict[str, str] | None = None,
    initial: Path | None = None,
) -> BaseProcess:
    """Start a process that fine-tunes in *work_dir* with a recipe (YAML) under environment *variables*, and begins with
    the adapter *initial*, if given; `reports` tells what it reports.
    """
    return forks.start(_finetune, recipe, models_dir, work_dir, variables or {}, initial)


def start_together(
    recipe: str, models_dir: Path, work_dirs: Sequence[Path], port: int, initial: Path | None = None
) -> list[BaseProcess]:
    """Start a process for each of *work_dirs*, which train together as under a launcher: on one machine if the folder
    is the same, else on many.
    """
    size = len(work_dirs)
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    processes = []
    for rank, work_dir in enumerate(work_dirs):
        local = {
            "LOCAL_RANK": str(work_dirs[:rank].count(work_dir)),
            "LOCAL_WORLD_SIZE": str(work_dirs.count(work_dir)),
        }
        # As in `training.pipeline`, where the main process alone has it.
        begins = None if rank else initial
        processes.append(start(recipe, models_dir, work_dir, shared | local | {"RANK": str(rank)}, begins))
    return processes


def reports(work_dir: Path) -> list[tuple[int, dict[str, float]]]:
    """Return what was reported from *work_dir*, with the step of each."""
    return [tuple(json.loads(line)) for line in (work_dir / "reports.jsonl").read_text().splitlines()]


def _finetune(recipe: str, models_dir: Path, work_dir: Path, variables: dict[str, str], initial: Path | None) -> None:
    os.environ |= variables
    import yaml

    from snap2caption.store import open_store
    from snap2caption.vlm import load
    from training.data.samples import CachedDataset, SplitSelection
    from training.data.stream import SampleStream
    from training.distributed import process_group
    from training.fit.finetune import finetune
    from training.recipes.loading import parse_recipe

    parsed = parse_recipe(yaml.safe_load(recipe), "recipe")
    settings = parsed.training
    work_dir.mkdir(parents=True, exist_ok=True)
    with process_group() as ranks, (work_dir / "reports.jsonl").open("a", buffering=1) as file:

        def report(metrics: dict[str, float], step: int) -> None:
            file.write(json.dumps([step, metrics]) + "\n")

        dataset = CachedDataset.open(parsed.data.version_uri(), work_dir.parent / "shards")
        train = dataset.samples("train")
        if parsed.data.stream:
            scratch = work_dir / "stream" / str(ranks.rank)
            train = SampleStream(
                dataset.source,
                SplitSelection("train"),
                batch_size=settings.global_micro_batch_size,
                seed=settings.seed,
                scratch=scratch,
            )
        vlm = load(parsed.model.base, models_dir)
        store = open_store(parsed.launcher.checkpoints) if parsed.launcher.checkpoints else None
        finetune(vlm, train, dataset.samples("validation"), parsed, work_dir, report, ranks, store, initial)
