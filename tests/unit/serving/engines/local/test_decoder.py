"""Continuous batching on the architecture of each model family: the same texts as the model's own ``generate``."""

from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES, Family
from peft import LoraConfig, get_peft_model
from PIL import Image
from prefills import read_in

from serving.engines.local.decoder import Decoder
from serving.engines.local.sequence import TokenSequence
from snap2caption.errors import UserError
from snap2caption.post import DESCRIBE_PROMPT, Request, Tone, build_prompt
from snap2caption.settings import ROOT
from snap2caption.vlm import Decoding, VisionLanguageModel, load, quieten_peft, with_adapter

# LLaVA 1.6 has a backslash too many in its template.
pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:.*invalid escape sequence:DeprecationWarning")]

DECODING = Decoding(12)
SIZES = ((300, 300), (600, 200), (200, 500))


def adapt(base: VisionLanguageModel, folder: Path, targets: str, **more: object) -> VisionLanguageModel:
    """Return *base* with a random adapter, large enough to change the output, after a round trip to disk."""
    quieten_peft()
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=16, target_modules=targets, init_lora_weights=False, **more)
    get_peft_model(load(base.base, folder.parent).model, config).save_pretrained(folder)
    return with_adapter(base, folder, folder.parent)


def noise(size: tuple[int, int]) -> Image.Image:
    """Return the same gray noise of *size* (width, height) in every run."""
    pixels = np.random.default_rng(size).normal(128, 90, size[::-1]).clip(0, 255)
    return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")


# A random model's two best tokens can be as near as float32's rounding, which differs with the shape of a batch: in
# one of some hundred runs, both texts were right. Double precision tells them apart.
# The second reads pictures and prompts in several chunks, whose edges lie within both.
@pytest.mark.parametrize("chunk", [4096, 40])
@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_texts_are_those_of_generate(family: Family, chunk: int, tmp_path: Path) -> None:
    family.write(tmp_path)
    base = load(family.name, tmp_path, dtype="float64")
    vlm = adapt(base, tmp_path / "adapter", f"{family.language}|{family.vision}")
    photos = [noise(size) for size in SIZES]
    prompts = [build_prompt(Request(tone=tone)) for tone in (None, Tone.WITTY, Tone.MINIMAL)]
    decoder = Decoder(vlm)
    pairs = [[TokenSequence(DECODING), TokenSequence(DECODING, base_only=True)] for _ in photos]
    decoder.merge(read_in(decoder, photos[:1], prompts[:1], pairs[:1], chunk))
    decoder.step()
    decoder.merge(read_in(decoder, photos[1:], prompts[1:], pairs[1:], chunk))
    while len(decoder):
        decoder.step()
    for photo, prompt, (caption, description) in zip(photos, prompts, pairs, strict=True):
        assert decoder.text(caption) == vlm.generate([photo], [prompt], DECODING)[0].text
        # The base shares its weights with the adapted model, and is untouched by it.
        assert decoder.text(description) == base.generate([photo], [DESCRIBE_PROMPT], DECODING)[0].text


@pytest.mark.parametrize("chunk", [4096, 7])
def test_a_sliding_window_is_kept_to(chunk: int, tmp_path: Path) -> None:
    # Mistral's first version looks back 4,096 tokens; here, it is less than a photo and a prompt.
    family = FAMILIES["tiny-llava-1.6"]
    family.write(tmp_path)
    vlm = load(family.name, tmp_path, dtype="float64")
    prompts = [build_prompt(Request()), build_prompt(Request(tone=Tone.WITTY))]
    photos = [noise(size) for size in SIZES[:2]]
    texts = []
    for window in (None, 24):
        vlm.model.config.get_text_config().sliding_window = window
        for layer in vlm.model.get_decoder().layers:
            layer.self_attn.sliding_window = window
        decoder, captions = Decoder(vlm), [TokenSequence(DECODING) for _ in photos]
        decoder.merge(read_in(decoder, photos, prompts, [[caption] for caption in captions], chunk))
        while len(decoder):
            decoder.step()
        texts.append([decoder.text(caption) for caption in captions])
        expected = [
            vlm.generate([photo], [prompt], DECODING)[0].text for photo, prompt in zip(photos, prompts, strict=True)
        ]
        assert texts[-1] == expected
    assert texts[0] != texts[1]


def test_a_nucleus_of_nothing_is_the_likeliest_token(tmp_path: Path) -> None:
    family = FAMILIES["tiny-llava-1.5"]
    family.write(tmp_path)
    vlm = load(family.name, tmp_path)
    decoder, photo = Decoder(vlm), Image.new("RGB", (40, 40), "teal")
    narrow, greedy = TokenSequence(Decoding(8, temperature=2.0, top_p=1e-6)), TokenSequence(Decoding(8))
    others = [TokenSequence(Decoding(8, temperature=2.0, top_p=1.0, seed=seed)) for seed in range(4)]
    decoder.merge(read_in(decoder, [photo], [build_prompt(Request())], [[narrow, greedy, *others]]))
    while len(decoder):
        decoder.step()
    assert narrow.tokens == greedy.tokens
    assert len({tuple(row.tokens) for row in others}) > 1
    assert all(0 < row.confidence <= 1 for row in (narrow, *others))


def test_an_incomplete_character_is_not_shown(tmp_path: Path) -> None:
    vlm = load("demo-base", ROOT / "models")
    text = "Nebel, 霧の橋, туман 👩‍🚀"
    tokens = vlm.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    decoder, shown = Decoder(vlm), []
    for end in range(1, len(tokens) + 1):
        row = TokenSequence(Decoding(end), tokens=tokens[:end])
        shown.append(decoder.text(row))
        assert text.startswith(shown[-1])
    assert shown[-1] == text
    assert len(shown) > len(set(shown))


def test_an_adapter_that_can_not_be_left_out_is_refused(tmp_path: Path) -> None:
    family = FAMILIES["tiny-llava-1.5"]
    family.write(tmp_path)
    with pytest.raises(UserError, match="plain LoRA"):
        Decoder(adapt(load(family.name, tmp_path), tmp_path / "adapter", family.language, use_dora=True))


# Others leave from the beginning, the middle and the end of the batch, and others join, with shorter and longer prompts
# than it holds. The longest text outgrows the cache's spare room.
def test_texts_stay_the_same_while_others_come_and_go(tmp_path: Path) -> None:
    family = FAMILIES["tiny-llava-1.5"]
    family.write(tmp_path)
    vlm = load(family.name, tmp_path, dtype="float64")
    prompts = [build_prompt(Request()), build_prompt(Request(tone=Tone.WITTY, hint="the first swim of the year " * 3))]
    decoder, photo, expected, actual = Decoder(vlm), noise(SIZES[0]), [], []
    for prompt, limits in (
        (prompts[0], (2, 80, 3, 12)),
        (prompts[1], (5, 4)),
        (prompts[0], (9, 2, 7)),
        (prompts[1], (20,)),
    ):
        texts = [TokenSequence(Decoding(limit)) for limit in limits]
        decoder.merge(read_in(decoder, [photo] * len(texts), [prompt] * len(texts), [[text] for text in texts]))
        for _ in range(3):
            decoder.step()
        actual += texts
        expected += [vlm.generate([photo], [prompt], text.decoding)[0].text for text in texts]
    while len(decoder):
        decoder.step()
    assert [decoder.text(text) for text in actual] == expected
