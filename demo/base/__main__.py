"""Entry point ``python -m demo.base``: pretrains the demo base from nothing."""

import argparse
import os
import random
from pathlib import Path

import torch

from demo.base.architecture import build_model, build_processor
from demo.base.pool import draw_pool
from demo.base.pretrain import Pretraining, Schedule, plain_text
from demo.base.reference import make_reference
from demo.base.tokenizer import add_phrases, prompt_lines, train_tokenizer
from snap2caption.settings import Settings
from snap2caption.vlm import load

VOCABULARY = 2048
TOKENIZER_TEXTS = 20_000


def main() -> None:
    """Draw the pictures, train the tokenizer, pretrain the model, and save it in 16 bits in Hugging Face format."""
    parser = argparse.ArgumentParser(prog="python -m demo.base", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Settings().models_dir / "demo-base", help="folder of the model")
    parser.add_argument("--pictures", type=int, default=20_000, help="pictures to pretrain on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="the result is reproducible for a number of threads")
    parser.add_argument("--shorten", type=int, default=1, help="divide every stage's steps by this, to try things out")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    rng = random.Random(options.seed)
    tokenizer = train_tokenizer((plain_text(rng) for _ in range(TOKENIZER_TEXTS)), VOCABULARY)
    processor, model = build_processor(tokenizer), build_model(tokenizer)
    pool = draw_pool(options.pictures, os.cpu_count() or 1)

    steps = Schedule()
    schedule = Schedule(
        eyes_steps=steps.eyes_steps // options.shorten,
        language_steps=steps.language_steps // options.shorten,
        joint_steps=steps.joint_steps // options.shorten,
        signs_steps=steps.signs_steps // options.shorten,
    )
    Pretraining(model, processor, pool, schedule, options.seed).run()
    model.to(torch.bfloat16)
    add_phrases(model, tokenizer, prompt_lines())
    model.save_pretrained(options.out)
    processor.save_pretrained(options.out)
    make_reference(load(options.out.name, options.out.parent), options.seed).save(options.out)


if __name__ == "__main__":
    main()
