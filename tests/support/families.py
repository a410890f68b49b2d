"""Small random models of the families' exact architectures, with processors as the published ones: saved to disk, as
a hub would give them.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tiny import BASE, CITIES, write_models, write_post
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
    MistralConfig,
    PreTrainedTokenizerFast,
)

from snap2caption.post import Request, Tone, build_prompt, render

LLAVA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}"
    "{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
# With the published one's mistake: `<\s>` is no token.
MISTRAL_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ '<<SYS>>\n' + message['content'][0]['text'] + '\n<</SYS>>\n\n' }}{% elif message['role'] == 'user' %}{{ '[INST] ' }}"
    "{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{# Render all text next #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}"
    "{{' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'][0]['text'] + '<\\s> '}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """A family's tiny model: its name in the folder of models, how it is written there, and what is particular about
    it.
    """

    name: str
    write: Callable[[Path], None]
    asked: str
    """How a prompt ends."""
    end: str
    """What ends an answer."""
    language: str
    projector: str
    vision: str
    """Regular expressions of the linear layers of each part."""


def write_llava(folder: Path) -> None:
    """LLaVA 1.5: CLIP and Llama; 16 image tokens."""
    tokenizer = _sentencepiece()
    config = LlavaConfig(
        vision_config=_clip(),
        text_config=LlamaConfig(**_text(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    images = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor = LlavaProcessor(images, tokenizer, **_expansion(), chat_template=LLAVA_TEMPLATE)
    _save(LlavaForConditionalGeneration, config, processor, folder)


def write_llava_next(folder: Path) -> None:
    """LLaVA 1.6: CLIP and Mistral; a photo is seen as a whole and in two to four pieces, by its shape."""
    tokenizer = _sentencepiece()
    grid = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
    config = LlavaNextConfig(
        vision_config=_clip(),
        text_config=MistralConfig(**_text(tokenizer) | {"num_key_value_heads": 1, "sliding_window": None}),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grid,
    )
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=grid
    )
    processor = LlavaNextProcessor(images, tokenizer, **_expansion(), chat_template=MISTRAL_TEMPLATE)
    _save(LlavaNextForConditionalGeneration, config, processor, folder)


def write_smolvlm(folder: Path) -> None:
    """SmolVLM: published as Idefics3, SigLIP and Llama; a photo is seen as a whole and in up to four pieces, 4 tokens
    each.
    """
    tokenizer = _byte_level()
    config = Idefics3Config(
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
        },
        text_config=LlamaConfig(**_text(tokenizer)).to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=True,
    )  # fmt: skip
    images = Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=SMOLVLM_TEMPLATE)
    _save(Idefics3ForConditionalGeneration, config, processor, folder)


_LANGUAGE = r"(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
_VISION = r"(self_attn\.(q|k|v|out)_proj|mlp\.fc[12])"

_LLAVA_PARTS = {
    "language": rf"model\.language_model\.layers\.\d+\.{_LANGUAGE}",
    "projector": r"model\.multi_modal_projector\.linear_[12]",
    "vision": rf"model\.vision_tower\.encoder\.layers\.\d+\.{_VISION}",
}

FAMILIES = {
    family.name: family
    for family in (
        Family(BASE, write_models, " ASSISTANT:", "</s>", **_LLAVA_PARTS),
        Family("tiny-llava-1.5", lambda folder: write_llava(folder / "tiny-llava-1.5"), " ASSISTANT:", "</s>", **_LLAVA_PARTS),
        Family("tiny-llava-1.6", lambda folder: write_llava_next(folder / "tiny-llava-1.6"), " [/INST]", "</s>", **_LLAVA_PARTS),
        Family(
            "tiny-smolvlm",
            lambda folder: write_smolvlm(folder / "tiny-smolvlm"),
            "\nAssistant:",
            "<end_of_utterance>",
            language=rf"model\.text_model\.layers\.\d+\.{_LANGUAGE}",
            projector=r"model\.connector\.modality_projection\.proj",
            vision=rf"model\.vision_model\.encoder\.layers\.\d+\.{_VISION}",
        ),
    )
}  # fmt: skip


def _texts() -> list[str]:
    rng = random.Random(0)
    prompts = [build_prompt(Request(tone=tone)) for tone in (None, *Tone)]
    frames = ["USER: ", " ASSISTANT: ", "[INST] \n", " [/INST] ", "User:", "Assistant: ", "<\\s>"]
    return [render(write_post(city, rng)) for city in CITIES for _ in range(50)] + (prompts + frames) * 10


def _sentencepiece() -> PreTrainedTokenizerFast:
    """Return a tokenizer like Llama's: spaces are part of the words, and the first word of a text gets one."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    special = ["<unk>", "<s>", "</s>", "<image>", "<pad>"]
    tokenizer.train_from_iterator(
        _texts(), trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"}, padding_side="left",
    )  # fmt: skip


def _byte_level() -> PreTrainedTokenizerFast:
    """Return a tokenizer like SmolLM's: bytes, and nothing before the text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<fake_token_around_image>",
        "<image>",
        "<end_of_utterance>",
    ]
    special += ["<global-img>", *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))]
    trainer = trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<end_of_utterance>", pad_token="<|im_end|>",
        unk_token="<|endoftext|>", padding_side="left",
    )  # fmt: skip


def _clip() -> CLIPVisionConfig:
    return CLIPVisionConfig(
        image_size=28, patch_size=7, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, projection_dim=32
    )  # fmt: skip


def _text(tokenizer: PreTrainedTokenizerFast) -> dict[str, object]:
    return {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.2, "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip


def _expansion() -> dict[str, object]:
    return {"patch_size": 7, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}


def _save(kind: type, config: object, processor: object, folder: Path) -> None:
    torch.manual_seed(0)
    model = kind(config)
    tokenizer = processor.tokenizer
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.bos_token_id = tokenizer.bos_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
