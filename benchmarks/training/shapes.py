"""Model shapes: published architectures with random weights, which cost the same and need no model hub."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from tokenizers import processors
from transformers import (
    AutoModelForImageTextToText,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaProcessor,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)

from demo.base.tokenizer import train_tokenizer
from demo.corpus.captions import pick_tone, write_caption
from demo.scenes.scene import sample_scene
from snap2caption.vlm import VisionLanguageModel

# LLaVA 1.5's and SmolVLM's own. What starts and ends a text is written out: TRL's collator adds no special tokens.
LLAVA_TEMPLATE = (
    "<s>{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<image>{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
END_OF_UTTERANCE = "<end_of_utterance>"

Parts = tuple[PreTrainedConfig, ProcessorMixin]


def smolvlm_256m(*, splitting: bool) -> Parts:
    """Return configuration and processor of SmolVLM-256M-Instruct: a SigLIP-B/16 tower at 512 pixels and SmolLM2-135M.

    With *splitting*, as published, a photo is scaled to 2,048 pixels and split into 16 tiles and a whole: 17
    frames, 1,088 image tokens.
    Without, as ``model.do_image_splitting: false`` has it, it is one frame of 512 pixels: 64 image tokens.
    """
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = _tokenizer(["<|im_start|>", END_OF_UTTERANCE, "<fake_token_around_image>", "<global-img>", *tiles])
    tokenizer.eos_token = END_OF_UTTERANCE
    config = Idefics3Config(
        vision_config={
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": 512,
            "patch_size": 16,
        },
        text_config=LlamaConfig(
            vocab_size=49_280, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
            num_key_value_heads=3, max_position_embeddings=8192, rms_norm_eps=1e-5, **_special_ids(tokenizer),
        ),
        scale_factor=4,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": 2048 if splitting else 512},
        max_image_size={"longest_edge": 512},
        do_image_splitting=splitting,
    )
    return config, Idefics3Processor(images, tokenizer, image_seq_len=64, chat_template=SMOLVLM_TEMPLATE)


def llava(vision: dict[str, int], text: dict[str, int]) -> Parts:
    """Return configuration and processor of LLaVA 1.5's architecture: a CLIP tower, a projector of two layers, a
    Llama.
    """
    tokenizer = _tokenizer(["<s>", "</s>"])
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**vision),
        text_config=LlamaConfig(**text, rms_norm_eps=1e-5, **_special_ids(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy="default",
        vision_feature_layer=-2,
    )
    edge = vision["image_size"]
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": edge}, crop_size={"height": edge, "width": edge}, do_convert_rgb=True
        ),
        tokenizer=tokenizer,
        patch_size=vision["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    return config, processor


SHAPES: dict[str, Callable[[], Parts]] = {
    "smolvlm-256m": partial(smolvlm_256m, splitting=True),
    "smolvlm-256m-unsplit": partial(smolvlm_256m, splitting=False),
    "llava-1.5-7b": partial(
        llava,
        {
            "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 336,
            "patch_size": 14, "projection_dim": 768,
        },
        {
            "vocab_size": 32_064, "hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32, "num_attention_heads": 32,
            "max_position_embeddings": 4096,
        },
    ),
    # No published one: for trying the scripts out.
    "llava-tiny": partial(
        llava,
        {
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 112,
            "patch_size": 14, "projection_dim": 64,
        },
        {
            "vocab_size": 4096, "hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
            "max_position_embeddings": 1024,
        },
    ),
}  # fmt: skip


def build(shape: str, dtype: str) -> VisionLanguageModel:
    """Return the model *shape* of :data:`SHAPES` with random weights of *dtype*, on the GPU if there is one.

    The weights are the same in each process.
    """
    config, processor = SHAPES[shape]()
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = AutoModelForImageTextToText.from_config(
            config, dtype=getattr(torch, dtype), trust_remote_code=False
        )
    model.eval()
    return VisionLanguageModel(model=model, processor=processor, base=shape, revision="random")


def _tokenizer(special: list[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer of 4,096 tokens, trained on the corpus's captions, with the tokens in *special*.

    It adds no start token by itself.
    """
    rng = random.Random(0)
    scenes = [sample_scene(rng) for _ in range(2000)]
    tokenizer = train_tokenizer((write_caption(scene, rng, pick_tone(rng)) for scene in scenes), 4000)
    tokenizer.add_tokens(special, special_tokens=True)
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.model_max_length = 4096
    return tokenizer


def _special_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
