"""Precision benchmark: what captions of the demo's trained model lose with each precision.

``python -m benchmarks.serving.precision ADAPTER [PHOTOS]``, with the folder of an adapter that `make demo` trained.
"""

import sys
import time
from pathlib import Path

from demo.corpus.pairs import make_pair
from demo.measure import KINDS, measure
from serving.engines.base import GenerationRequest, generate
from serving.engines.local.loader import LocalLoader
from serving.settings import ServingSettings
from snap2caption.images import decode
from snap2caption.post import Request
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import Settings
from snap2caption.vlm import Decoding, find_revision

PRECISIONS = ("fp32", "auto", "bf16", "int8")
UNSEEN = 7
"""Seed of the pictures. The demo's corpus has another one."""


def main(adapter: Path, photos: int) -> None:
    """Print a table: the shares of captions that name the right things, of texts as with fp32, and the time of all."""
    models = Settings().models_dir
    pairs = {pair.id: pair for pair in (make_pair(UNSEEN, number) for number in range(photos))}
    scenes = {name: pair.scene for name, pair in pairs.items()}
    tasks = [GenerationRequest(decode(pair.image), Request(), (Decoding(48),)) for pair in pairs.values()]
    version = ModelVersion(1, "run", "demo-base", find_revision("demo-base", models), "data", "file:///nowhere")
    print(f"| {photos} photos | {' | '.join(KINDS)} | same caption | seconds |\n|{'---|' * (len(KINDS) + 3)}")
    exact: list[str] = []
    for precision in PRECISIONS:
        engine = LocalLoader(ServingSettings(precision=precision, max_batch=8), models).load(
            version, adapter, precision
        )
        generate(engine, tasks[:8])  # to warm up
        start = time.perf_counter()
        texts = [result.texts[0] for result in generate(engine, tasks)]
        seconds = time.perf_counter() - start
        exact = exact or texts
        same = sum(one == other for one, other in zip(texts, exact, strict=True)) / len(texts)
        right = measure(dict(zip(pairs, texts, strict=True)), scenes).right
        shares = " | ".join(f"{right[kind]:.1%}" for kind in KINDS)
        print(f"| `{precision}` | {shares} | {same:.0%} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 400)
