"""Loading of models by name, without an adapter."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from families import FAMILIES
from patience import until
from PIL import Image

from serving.engines.base import GenerationRequest, drop_cut_end, generate
from serving.engines.local.loader import LocalLoader
from serving.models.probe import probed
from serving.prompting.instruct import InstructTemplate
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.post import Request, Tone, build_prompt
from snap2caption.settings import ROOT
from snap2caption.vlm import Decoding, load, splits_images

# The published template of LLaVA 1.6 has such a sequence.
pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:.*invalid escape sequence:DeprecationWarning")]

PHOTO = Image.radial_gradient("L").resize((640, 480)).convert("RGB")
DECODING = Decoding(8)


@pytest.mark.parametrize("family", ["tiny-llava-1.5", "tiny-llava-1.6", "tiny-smolvlm"])
def test_a_base_by_name_is_asked_as_an_instruct_model(family: str, tmp_path: Path) -> None:
    FAMILIES[family].write(tmp_path)
    engine = LocalLoader(ServingSettings(max_new_tokens=8, precision="fp32"), tmp_path).load_untrained(family)
    assert engine.version == f"{family} (untrained)"
    request = Request(tone=Tone.WITTY)
    (result,) = generate(engine, [GenerationRequest(PHOTO, request, (DECODING,))])
    tiles = family != "tiny-smolvlm"
    peer, prompts = load(family, tmp_path, split_images=tiles), InstructTemplate()
    reply, description = (
        peer.generate([PHOTO], [prompt], DECODING)[0].text
        for prompt in (prompts.caption(request), prompts.description(request))
    )
    assert result.texts[0] == drop_cut_end(prompts.clean(reply, finished=True), cut=True)
    assert result.description == drop_cut_end(prompts.clean_description(description), cut=True)


def test_loading_leaves_no_thread_beside_those_that_decode(tmp_path: Path) -> None:
    FAMILIES["tiny-llava-1.5"].write(tmp_path)

    def load_and_probe() -> None:
        probed(LocalLoader(ServingSettings(max_new_tokens=8, threads=2), tmp_path).load_untrained("tiny-llava-1.5"))

    def threads() -> set[int]:
        return {thread.id for thread in psutil.Process().threads()}

    with ThreadPoolExecutor(1) as poller:
        poller.submit(int).result()
        load_and_probe()  # starts what torch and the tokenizer start once in a process
        before = threads()
        poller.submit(load_and_probe).result()
        its = threads() - before
        until(lambda: not its & threads())


def test_a_photo_is_read_as_one_tile_on_a_cpu(tmp_path: Path) -> None:
    FAMILIES["tiny-smolvlm"].write(tmp_path)
    engine = LocalLoader(ServingSettings(max_new_tokens=8), tmp_path).load_untrained("tiny-smolvlm")
    whole = load("tiny-smolvlm", tmp_path)
    assert splits_images(whole.processor)
    assert 3 * engine._vlm.image_tokens(640, 480) < whole.image_tokens(640, 480)
    assert not splits_images(load("tiny-smolvlm", tmp_path, split_images=False).processor)


def test_another_architecture_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "qwen").mkdir()
    (tmp_path / "qwen" / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    with pytest.raises(UserError, match=r"of the kind qwen2_5_vl, .* run it on a server such as vLLM or Ollama"):
        LocalLoader(ServingSettings(), tmp_path).load_untrained("qwen")


def test_another_text_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "phi").mkdir()
    (tmp_path / "phi" / "config.json").write_text('{"model_type": "llava", "text_config": {"model_type": "phi"}}')
    with pytest.raises(UserError, match=r"of the kind phi, .* run the model on a server such as vLLM or Ollama"):
        LocalLoader(ServingSettings(), tmp_path).load_untrained("phi")


def test_the_demo_base_by_name_gets_the_prompt_of_its_training() -> None:
    engine = LocalLoader(ServingSettings(max_new_tokens=24, precision="fp32"), ROOT / "models").load_untrained(
        "demo-base"
    )
    (result,) = generate(engine, [GenerationRequest(PHOTO, Request(), (Decoding(24),))])
    peer = load("demo-base", ROOT / "models").generate([PHOTO], [build_prompt(Request())], Decoding(24))[0].text
    assert result.texts[0] == drop_cut_end(peer, cut=True)


def test_a_small_context_keeps_its_room_for_the_prompt(tmp_path: Path) -> None:
    FAMILIES["tiny-smolvlm"].write(tmp_path)
    engine = LocalLoader(ServingSettings(), tmp_path).load_untrained("tiny-smolvlm")
    assert load("tiny-smolvlm", tmp_path).context == 512
    assert engine.token_factor == 1
    engine.fit(GenerationRequest(PHOTO, Request(tone=Tone.PLAYFUL), (Decoding(96),)))
