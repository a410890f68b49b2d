"""GPU serving benchmark on LLaVA-1.5-7B's shape with random weights, in bfloat16.

It measures latency, and tokens per second relative to the limit of the memory bandwidth.

``python -m benchmarks.serving.gpu``; ``--tiny --device cpu --bandwidth 10`` tries out the script on a machine
without a GPU. Photos go through the batcher as requests do, without HTTP. No model hub is needed.

To write one token per row, a step reads all weights of the language model once, and the KV cache of each row. So
rows × bandwidth / bytes is the most tokens per second that the card could write if there were no pictures and no
prompts to process.
"""

import argparse
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from PIL import Image
from torch import nn

from benchmarks.serving.models import adapted, readable
from benchmarks.training.shapes import build
from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from serving.engines.base import GenerationRequest
from serving.engines.local.engine import LocalEngine
from serving.models.served_model import ServedModel
from serving.prompting.trained import TrainedTemplate
from serving.scheduling.batcher import Batcher
from serving.scheduling.ticket import BatchResult
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Request, build_prompt
from snap2caption.registry.versions import ModelVersion
from snap2caption.vlm import Decoding, VisionLanguageModel

BANDWIDTH = {
    "H200": 4800.0,
    "H100 PCIe": 2000.0,
    "H100 NVL": 3900.0,
    "H100": 3350.0,
    "A100-SXM4-80GB": 2039.0,
    "A100 80GB": 1935.0,
    "A100": 1555.0,
    "L40S": 864.0,
    "L4": 300.0,
    "RTX 4090": 1008.0,
}
"""GB/s, by NVIDIA's data sheets; the first name that is part of the card's counts."""

CONCURRENT = (1, 4, 16)


@dataclass(frozen=True, slots=True)
class GpuMeasurement:
    """Measurement with *clients* concurrent clients, each of which sends its next request after an answer."""

    clients: int
    p50: float
    """Seconds to an answer: caption and description."""
    p90: float
    captions: float
    """Responses per second."""
    tokens: float
    """Tokens per second, of captions and descriptions."""
    limit: float | None
    """Tokens per second that the memory bandwidth allows with so many rows; None if the bandwidth is unknown."""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="use a tiny model, to try out the script")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each text; random weights never stop earlier")
    parser.add_argument("--rounds", type=int, default=8, help="requests of each client")
    parser.add_argument("--bandwidth", type=float, help="memory bandwidth in GB/s, for cards that are not in the table")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU; --tiny --device cpu tries out the script")
    shape = "llava-tiny" if asked.tiny else "llava-1.5-7b"
    vlm = adapted(readable(build(shape, "bfloat16" if asked.device == "cuda" else "float32")))
    vlm.model.to(asked.device)
    device = torch.cuda.get_device_name() if asked.device == "cuda" else "CPU"
    bandwidth = asked.bandwidth or next((speed for name, speed in BANDWIDTH.items() if name in device), None)
    print(
        f"{shape}, {vlm.model.dtype}, {asked.tokens} tokens per text, two texts per photo, on {device}, "
        f"torch {torch.__version__}; memory {'unknown' if bandwidth is None else f'{bandwidth:.0f} GB/s'}\n"
    )
    print(table([measure(vlm, clients, asked.tokens, asked.rounds, bandwidth) for clients in CONCURRENT]))


def measure(
    vlm: VisionLanguageModel, clients: int, tokens: int, rounds: int, bandwidth: float | None
) -> GpuMeasurement:
    """Measure *clients* that each request texts of *tokens* tokens *rounds* times, after one warm-up request.

    *bandwidth* is in GB/s.
    """
    version = ModelVersion(1, "run", vlm.base, vlm.revision, "data", "file:///nowhere")
    engine = LocalEngine(vlm, f"{vlm.base}/1", TrainedTemplate(), max_batch=clients)
    served = ServedModel(engine, HashtagTable.from_rows([]), version)
    batcher = Batcher(lambda _: served, max_batch=clients, queue_size=2 * clients, deadline=3600)
    photos = [render(sample_scene(random.Random(number)), number) for number in range(clients)]
    decoding = Decoding(tokens)
    with ThreadPoolExecutor(clients) as pool:

        def ask(times: int) -> list[tuple[float, BatchResult]]:
            return [
                one for many in pool.map(lambda photo: _ask(batcher, photo, decoding, times), photos) for one in many
            ]

        ask(1)
        started = time.perf_counter()
        answers = ask(rounds)
        took = time.perf_counter() - started
    batcher.close()
    engine.close()
    latencies = sorted(seconds for seconds, _ in answers)
    written = sum(done.generated.tokens for _, done in answers)
    return GpuMeasurement(
        clients=clients,
        p50=_quantile(latencies, 0.5),
        p90=_quantile(latencies, 0.9),
        captions=len(answers) / took,
        tokens=written / took,
        limit=None if bandwidth is None else limit(vlm, clients, tokens, photos[0], bandwidth),
    )


def limit(vlm: VisionLanguageModel, clients: int, tokens: int, photo: Image.Image, bandwidth: float) -> float:
    """Return the tokens per second that *bandwidth* (GB/s) allows for a caption and a description per client."""
    rows = 2 * clients
    read = vlm.inputs([photo], [build_prompt(Request())])["input_ids"].shape[1]
    text = vlm.model.config.get_text_config()
    width = text.num_key_value_heads * (getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)
    # Keys and values, half of the tokens written on the average.
    remembered = 2 * text.num_hidden_layers * width * vlm.model.dtype.itemsize * (read + tokens / 2)
    return rows * bandwidth * 1e9 / (step_bytes(vlm.model) + rows * remembered)


def step_bytes(model: nn.Module) -> int:
    """Return the bytes of weights that a step reads: the linear layers of the language model and its output layer."""
    linear = {
        id(module.weight): module.weight.nbytes
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and any(part in name for part in ("language_model", "text_model", "lm_head"))
    }
    return sum(linear.values())


def table(results: Sequence[GpuMeasurement]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| concurrent | P50 | P90 | captions/s | tokens/s | the memory's limit | of the limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results:
        bound = "- | -" if one.limit is None else f"{one.limit:.0f} | {one.tokens / one.limit:.1%}"
        lines.append(
            f"| {one.clients} | {one.p50:.3f} s | {one.p90:.3f} s | {one.captions:.2f} | {one.tokens:.0f} | {bound} |"
        )
    return "\n".join(lines)


def _ask(batcher: Batcher, photo: Image.Image, decoding: Decoding, times: int) -> list[tuple[float, BatchResult]]:
    answers = []
    for _ in range(times):
        started = time.perf_counter()
        done = batcher.submit(GenerationRequest(photo, Request(), (decoding,))).result()
        answers.append((time.perf_counter() - started, done))
    return answers


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
