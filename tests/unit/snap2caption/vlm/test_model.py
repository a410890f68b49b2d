import pytest
from PIL import Image
from tiny import BASE

from snap2caption.vlm import Decoding, load

pytestmark = pytest.mark.unit

RED, BLUE = Image.new("RGB", (90, 60), "red"), Image.new("RGB", (60, 90), "blue")


def test_a_batch_writes_what_each_photo_alone_would(vlm):
    prompts = ["Describe this.", "Write a rather long caption for this photo, please."]
    decoding = Decoding(max_new_tokens=8)
    together = vlm.generate([RED, BLUE], prompts, decoding)
    alone = [vlm.generate([photo], [prompt], decoding)[0] for photo, prompt in zip([RED, BLUE], prompts, strict=True)]
    assert together == alone
    assert all(0 < answer.tokens <= 8 for answer in together)


def test_the_prompt_is_not_part_of_the_answer(vlm):
    (answer,) = vlm.generate([RED], ["Describe this."], Decoding(max_new_tokens=4))
    assert "USER" not in answer.text
    assert "<image>" not in answer.text


def test_without_the_adapter_the_base_answers(vlm, models_dir):
    decoding = Decoding(max_new_tokens=8)
    base = load(BASE, models_dir).generate([RED], ["Describe this."], decoding)
    assert vlm.generate([RED], ["Describe this."], decoding, without_adapter=True) == base
    assert vlm.generate([RED], ["Describe this."], decoding) != base


def test_a_seed_repeats_a_sampled_answer(vlm):
    def write(seed):
        return vlm.generate([RED], ["Describe this."], Decoding(max_new_tokens=12, temperature=1.0, seed=seed))

    assert write(3) == write(3)
    assert write(3) != write(4)


def test_characters_that_are_not_whole_are_told_and_not_shown(vlm):
    # Drawn from all tokens alike: bytes in any order.
    anything = Decoding(max_new_tokens=64, temperature=100.0, top_p=1.0, min_p=0.0, seed=5)
    (answer,) = vlm.generate([RED], ["Describe this."], anything)
    assert "\ufffd" in answer.raw
    assert "\ufffd" not in answer.text
    assert answer.tokens == 64


def test_what_may_be_drawn_is_truncated(vlm):
    greedy, narrow = Decoding(max_new_tokens=12), Decoding(max_new_tokens=12, temperature=100.0, min_p=1.0)
    assert vlm.generate([RED], ["Describe this."], narrow) == vlm.generate([RED], ["Describe this."], greedy)
