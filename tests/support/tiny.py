"""Small things of the real kinds: a base model of LLaVA's architecture, a dataset version, a recipe."""

import hashlib
import io
import json
import random
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from demo.base.architecture import IMAGE_SIZE, PATCH_SIZE, build_processor
from demo.base.tokenizer import train_tokenizer
from snap2caption.datasets.manifest import NAME, CorpusSource, File, Manifest, Shard, SplitSummary
from snap2caption.post import Post, Request, build_prompt, render

BASE = "tiny-llava"
"""The base's name in the folder of models."""

CITIES = {"chicago": (200, 40, 40), "newyork": (40, 200, 40), "sanfrancisco": (40, 40, 200)}
"""Each city's photos have its color, and its captions its name: a tiny model can learn that from the picture alone."""

LANGUAGE_LAYERS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


def write_post(city: str, rng: random.Random) -> Post:
    words = rng.choice(["a slow walk through", "the light is kind in", "good morning from the heart of"])
    return Post(f"{words} {city} today.", (city, "citylife", "street", "photo", "walk"))


def write_photo(city: str, rng: random.Random) -> bytes:
    color = tuple(max(0, min(255, channel + rng.randint(-30, 30))) for channel in CITIES[city])
    stream = io.BytesIO()
    Image.new("RGB", (150, 150), color).save(stream, "JPEG")
    return stream.getvalue()


def write_shard(path: Path, samples: int, seed: int) -> Shard:
    rng = random.Random(seed)
    with tarfile.open(path, "w") as archive:
        for index in range(samples):
            city = list(CITIES)[index % len(CITIES)]
            post = write_post(city, rng)
            row = {"id": f"{path.stem}-{index}", "city": city, "caption": post.caption, "hashtags": list(post.hashtags)}
            for kind, data in (("jpg", write_photo(city, rng)), ("json", json.dumps(row).encode())):
                member = tarfile.TarInfo(f"{index:06d}.{kind}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    data = path.read_bytes()
    cities = {city: len(range(index, samples, len(CITIES))) for index, city in enumerate(CITIES)}
    return Shard(
        name=path.name, sha256=hashlib.sha256(data).hexdigest(), samples=samples, bytes=len(data), cities=cities
    )


def write_dataset(folder: Path, sizes: dict[str, int | Sequence[int]], seed: int = 0) -> Manifest:
    """Write a dataset version into *folder*: a split is one shard of so many samples, or several."""
    folder.mkdir(parents=True)
    splits = {}
    for offset, (split, size) in enumerate(sizes.items()):
        shards = [
            write_shard(folder / f"{split}-{number:06d}.tar", samples, seed + offset + 1000 * number)
            for number, samples in enumerate([size] if isinstance(size, int) else size)
        ]
        cities = sum((Counter(shard.cities) for shard in shards), Counter())
        splits[split] = SplitSummary(
            samples=sum(shard.samples for shard in shards), cities=dict(sorted(cities.items())), shards=tuple(shards)
        )
    tags = b"none"
    (folder / "hashtags.parquet").write_bytes(tags)
    manifest = Manifest(
        version=f"d{seed:011d}",
        source=CorpusSource(urls=("http://example.com/c.zip",), sha256="0" * 64),
        settings={},
        dropped={},
        splits=splits,
        hashtags=File(name="hashtags.parquet", sha256=hashlib.sha256(tags).hexdigest(), bytes=len(tags)),
    )
    (folder / NAME).write_bytes(manifest.dump())
    return manifest


def write_models(folder: Path, base: str = BASE, layers: int = 2) -> None:
    """Write the base into *folder*: LLaVA's architecture with random weights, large enough to learn from by LoRA
    alone.
    """
    rng = random.Random(0)
    texts = [render(write_post(city, rng)) for city in CITIES for _ in range(50)] + [build_prompt(Request())] * 20
    tokenizer = train_tokenizer(texts, 400)
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            image_size=IMAGE_SIZE, patch_size=PATCH_SIZE, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, projection_dim=32,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=48, intermediate_size=96, num_hidden_layers=layers, num_attention_heads=2,
            num_key_value_heads=2, max_position_embeddings=512, pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, initializer_range=0.2,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder / base)
    build_processor(tokenizer).save_pretrained(folder / base)


def recipe_content(dataset_uri: str) -> dict[str, object]:
    """Return a recipe that trains on the dataset in a second or two."""
    return {
        "model": {
            "base": BASE,
            "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": LANGUAGE_LAYERS},
        },
        "data": {"uri": dataset_uri},
        "training": {
            "global_micro_batch_size": 8,
            "learning_rate": 5e-3,
            "num_train_epochs": 2,
            "threads": 1,
            "seed": 7,
        },
        "evaluation": {"batch_size": 6, "max_new_tokens": 24},
    }
