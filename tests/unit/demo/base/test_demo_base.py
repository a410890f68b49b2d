import random
from pathlib import Path

import pytest
import torch

from demo.base.architecture import build_model, build_processor
from demo.base.pool import draw_pool
from demo.base.pretrain import Pretraining, Schedule, plain_text
from demo.base.signs import emoji_line, emoji_tokens
from demo.base.tokenizer import add_phrases, prompt_lines, train_tokenizer
from demo.corpus.captions import write_caption
from demo.corpus.facts import facts_in
from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from snap2caption.post import DESCRIBE_PROMPT, Emoji, Length, Request, Tone, build_prompt
from snap2caption.settings import Settings
from snap2caption.text.incomplete_characters import REPLACEMENT
from snap2caption.vlm import Decoding, VisionLanguageModel, load

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def base() -> VisionLanguageModel:
    return load("demo-base", Settings().models_dir)


def test_shipped_weights_are_under_ten_megabytes() -> None:
    files = (Settings().models_dir / "demo-base").iterdir()
    assert sum(file.stat().st_size for file in files) < 10_000_000


def test_base_describes_scenes_without_names_or_hashtags(base: VisionLanguageModel) -> None:
    scenes = [sample_scene(random.Random(seed)) for seed in range(24)]
    pictures = [render(scene, 900 + i) for i, scene in enumerate(scenes)]

    answers = base.generate(pictures, [DESCRIBE_PROMPT] * 24, Decoding(max_new_tokens=80))

    facts = [facts_in(answer.text) for answer in answers]
    assert sum(bool(fact.city) for fact in facts) <= 2
    assert not any("#" in answer.text for answer in answers)
    lit = {
        "night": ("night", "dark"),
        "day": ("day", "blue", "bright"),
        "sunset": ("evening", "orange", "sunset"),
        "sunrise": ("morning", "pink", "lilac", "sunrise"),
    }
    right = sum(
        any(word in answer.text.lower() for word in lit[scene.time.value])
        for scene, answer in zip(scenes, answers, strict=True)
    )
    assert right >= 22


def test_base_does_not_know_the_task(base: VisionLanguageModel) -> None:
    scenes = [sample_scene(random.Random(seed)) for seed in range(16)]
    pictures = [render(scene, 950 + i) for i, scene in enumerate(scenes)]
    answers = base.generate(pictures, [build_prompt(Request())] * 16, Decoding(max_new_tokens=80))
    assert sum("#" in answer.text for answer in answers) <= 2


def test_each_line_of_a_training_prompt_is_one_token(base: VisionLanguageModel) -> None:
    lines = prompt_lines()
    assert len(lines) == 1 + len(Tone) + len(Length) + len(Emoji)
    for line in lines:
        assert len(base.processor.tokenizer(line, add_special_tokens=False)["input_ids"]) == 1


def test_each_emoji_is_one_token_and_comes_back(base: VisionLanguageModel) -> None:
    tokenizer = base.processor.tokenizer
    for emoji in emoji_tokens():
        (token,) = tokenizer(emoji, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode([token]) == emoji
    rng = random.Random(0)
    for text in [*(emoji_line(rng) for _ in range(300)), *(write_caption(sample_scene(rng), rng) for _ in range(300))]:
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(tokens) == text
        # However it is cut, no character is in halves.
        assert not any(REPLACEMENT in tokenizer.decode([token]) for token in tokens)


def test_added_phrases_mean_their_pieces_and_change_no_others() -> None:
    tokenizer = train_tokenizer((plain_text(random.Random(seed)) for seed in range(300)), 600)
    model = build_model(tokenizer)
    before, other = model.get_input_embeddings().weight.clone(), tokenizer("A bridge at night.")["input_ids"]
    phrases = ["Tone: witty.", "Tone: minimal.", "Tone: playful."]
    spelled = {phrase: tokenizer(phrase, add_special_tokens=False)["input_ids"] for phrase in phrases}
    for _ in range(2):
        add_phrases(model, tokenizer, phrases)
    after = model.get_input_embeddings().weight
    assert tokenizer("A\nTone: witty. B")["input_ids"].count(600) == 1
    assert after.shape == (603, before.shape[1])
    assert torch.equal(after[:600], before)
    for number, phrase in enumerate(phrases, 600):
        others = {piece for other, pieces in spelled.items() if other != phrase for piece in pieces}
        own = [piece for piece in spelled[phrase] if piece not in others]
        assert torch.allclose(after[number], before[own].mean(dim=0) / 2)
        assert tokenizer.decode([number]) == phrase
    assert tokenizer("A bridge at night.")["input_ids"] == other


def test_phrases_that_share_all_pieces_are_still_vectors() -> None:
    tokenizer = train_tokenizer((plain_text(random.Random(seed)) for seed in range(300)), 600)
    model = build_model(tokenizer)
    add_phrases(model, tokenizer, [" x x", " x x x"])
    assert torch.isfinite(model.get_input_embeddings().weight).all()


def test_the_same_seed_pretrains_the_same_weights(tmp_path: Path) -> None:
    def pretrain() -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        rng = random.Random(0)
        tokenizer = train_tokenizer((plain_text(rng) for _ in range(300)), 600)
        processor, model = build_processor(tokenizer), build_model(tokenizer)
        schedule = Schedule(
            eyes_steps=2,
            eyes_batch=8,
            language_steps=2,
            language_batch=2,
            joint_steps=2,
            joint_batch=4,
            signs_steps=2,
            signs_batch=6,
        )
        Pretraining(model, processor, draw_pool(32, 2), schedule, seed=0).run()
        return model.state_dict()

    first, second = pretrain(), pretrain()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
