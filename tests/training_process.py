"""Fine-tuning in processes of their own, which can be killed. They are forks of a server that has loaded what they need: that saves seconds each."""

import json
import multiprocessing
import os
from multiprocessing.process import BaseProcess
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["training.finetune", "training.data", "snap2caption.vlm"])


def start(recipe: str, models_dir: Path, work_dir: Path, variables: dict[str, str] | None = None) -> BaseProcess:
    """Start a process that fine-tunes in *work_dir* with a recipe (YAML) under environment *variables*; `reports` tells what it reports."""
    process = _context.Process(target=_finetune, args=(recipe, models_dir, work_dir, variables or {}))
    process.start()
    return process


def start_together(recipe: str, models_dir: Path, work_dir: Path, size: int, port: int) -> list[BaseProcess]:
    """Start so many processes that fine-tune together, as a launcher does."""
    shared = {
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
    }
    shared |= {"GLOO_SOCKET_IFNAME": "lo"}
    return [
        start(recipe, models_dir, work_dir, shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(size)
    ]


def reports(work_dir: Path) -> list[tuple[int, dict[str, float]]]:
    """Return what was reported from *work_dir*, with the step of each."""
    return [tuple(json.loads(line)) for line in (work_dir / "reports.jsonl").read_text().splitlines()]


def _finetune(recipe: str, models_dir: Path, work_dir: Path, variables: dict[str, str]) -> None:
    os.environ |= variables
    import yaml

    from snap2caption.vlm import load
    from training.data import CachedDataset, Selection
    from training.finetune import finetune
    from training.ranks import joined
    from training.recipe import parse_recipe
    from training.stream import SampleStream

    parsed = parse_recipe(yaml.safe_load(recipe), "recipe")
    settings = parsed.optimiser
    work_dir.mkdir(parents=True, exist_ok=True)
    with joined() as ranks, (work_dir / "reports.jsonl").open("a", buffering=1) as file:

        def report(metrics: dict[str, float], step: int) -> None:
            file.write(json.dumps([step, metrics]) + "\n")

        dataset = CachedDataset.open(parsed.data.version_uri(), work_dir.parent / "shards")
        train = dataset.samples("train")
        if parsed.data.stream:
            scratch = work_dir / "stream" / str(ranks.rank)
            train = SampleStream(
                dataset.source, Selection("train"), batch_size=settings.batch_size, seed=settings.seed, scratch=scratch
            )
        vlm = load(parsed.model.base, models_dir)
        finetune(vlm, train, dataset.samples("validation"), parsed, work_dir, report, ranks)
