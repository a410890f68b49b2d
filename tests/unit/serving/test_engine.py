"""The local engine on the small real model that the project ships."""

import pytest
from PIL import Image

from serving.engine import LocalEngine, Task
from snap2caption.post import Request, build_prompt
from snap2caption.settings import ROOT
from snap2caption.vlm import Decoding, load

pytestmark = pytest.mark.unit

SAMPLED = Decoding(24, temperature=0.8, seed=3)
PROMPT = build_prompt(Request())


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine(load("demo-base", ROOT / "models"), "demo/1")


def task(colour: str, *decodings: Decoding) -> Task:
    return Task(Image.new("RGB", (64, 64), colour), PROMPT, decodings or (Decoding(24),))


def test_a_seed_gives_the_same_caption_alone_and_in_company(local: LocalEngine) -> None:
    alone = local.write([task("skyblue", SAMPLED)])[0]
    with_others = local.write([task("darkred", SAMPLED), task("skyblue", SAMPLED), task("green")])[1]
    assert alone.texts == with_others.texts


def test_every_task_gets_its_own_variants_and_description(local: LocalEngine) -> None:
    written = local.write([task("skyblue", Decoding(24), SAMPLED), task("darkred")])
    assert [len(one.texts) for one in written] == [2, 1]
    assert written[0].texts[0] != written[0].texts[1]
    assert all(one.description and one.tokens for one in written)


def test_a_hashtag_that_the_limit_may_have_cut_is_left_out(local: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    from snap2caption.vlm import Generated, VisionLanguageModel

    answers = [Generated("Sunset again.\n#sf #gold", 8), Generated("Sunset again.\n#sf #gold", 7)]
    # What a model writes can't be steered; only the text is given here, the rest is the engine's own.
    monkeypatch.setattr(VisionLanguageModel, "generate", lambda *_, **__: answers)
    written = local.write([task("red", Decoding(8)), task("red", Decoding(8))])
    assert [one.texts[0] for one in written] == ["Sunset again.\n#sf", "Sunset again.\n#sf #gold"]
