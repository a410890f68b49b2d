import pytest
import torch
from PIL import Image
from tiny import BASE, LANGUAGE_LAYERS

from snap2caption.errors import UserError
from snap2caption.vlm import Decoding, find_revision, load, local_revision, quieten_peft, resolve_base

pytestmark = pytest.mark.unit

RED, BLUE = Image.new("RGB", (90, 60), "red"), Image.new("RGB", (60, 90), "blue")


@pytest.fixture(scope="module")
def adapter(models_dir, tmp_path_factory):
    """An adapter that changes what the model writes."""
    from peft import LoraConfig, get_peft_model

    quieten_peft()
    torch.manual_seed(1)
    vlm = load(BASE, models_dir)
    config = LoraConfig(r=4, target_modules=LANGUAGE_LAYERS, init_lora_weights=False, task_type="CAUSAL_LM")
    folder = tmp_path_factory.mktemp("adapter")
    get_peft_model(vlm.model, config).save_pretrained(folder)
    return folder


@pytest.fixture
def vlm(models_dir, adapter):
    return load(BASE, models_dir, adapter=adapter)


def test_the_base_is_found_on_disk_or_named(models_dir):
    assert resolve_base(BASE, models_dir) == str(models_dir / BASE)
    assert resolve_base("llava-hf/llava-1.5-7b-hf", models_dir) == "llava-hf/llava-1.5-7b-hf"


def test_the_revision_is_that_of_the_weights(models_dir):
    revision = local_revision(models_dir / BASE)
    assert find_revision(BASE, models_dir) == revision == load(BASE, models_dir).revision
    with pytest.raises(UserError, match=f"has revision {revision}, but older is asked for"):
        load(BASE, models_dir, revision="older")


def test_a_base_that_is_nowhere_is_one_sentence(models_dir):
    for ask in (load, find_revision):
        with pytest.raises(UserError, match=r"is neither in .* nor on the model hub"):
            ask("no-such-base", models_dir)


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


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "no configuration", "other shapes"])
def test_a_damaged_adapter_is_one_sentence(models_dir, adapter, tmp_path, damage):
    for file in adapter.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights, configuration = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "empty":
        weights.write_bytes(b"")
    elif damage == "gone":
        weights.unlink()
    elif damage == "no configuration":
        configuration.unlink()
    else:
        configuration.write_text(configuration.read_text().replace('"r": 4', '"r": 8'))
    with pytest.raises(UserError, match="does not fit the base model or is damaged"):
        load(BASE, models_dir, adapter=tmp_path)
