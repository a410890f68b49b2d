"""Token budget of prompts, with the tokenizer of the project's small model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import regex as re
from peft import LoraConfig, get_peft_model
from PIL import Image

from serving.engines.base import GenerationRequest, GenerationResult, generate
from serving.engines.local.engine import LocalEngine
from serving.engines.local.loader import LocalLoader
from serving.engines.token_budget import PromptTooLongError
from serving.prompting.trained import TrainedTemplate
from serving.settings import ServingSettings, TokenLimits
from snap2caption.errors import UserError
from snap2caption.post import Post, Request, build_prompt
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import ROOT
from snap2caption.vlm import Decoding, VisionLanguageModel, find_revision, load, quieten_peft

pytestmark = pytest.mark.unit

PHOTO = Image.new("RGB", (64, 64), "skyblue")
LONGEST = 2200
NEWEST = "Coffee first, city second."

VOICES = {
    "Japanese": "朝の光が橋をわたる。" * 140,
    "English": "A slow walk through the fog, and the city is mine. " * 43,
    "Thai": "เช้านี้ที่สะพานมีหมอกบางๆ" * 80,
    "Hindi": "आज सुबह पुल पर हल्की धूप है। " * 70,
    "Arabic": "صباح الخير من قلب المدينة " * 80,
    "emoji": "👩‍👩‍👧‍👦🇫🇷😀👍🏽" * 150,
    "one word": "a" * LONGEST,
    "one word of emoji": "👨🏾‍🚀" * 500,
}


@pytest.fixture(scope="module")
def engine(vlm: VisionLanguageModel) -> LocalEngine:
    return LocalEngine(vlm, "demo/1", TrainedTemplate())


def ask(request: Request, *decodings: Decoding) -> GenerationRequest:
    return GenerationRequest(PHOTO, request, decodings or (Decoding(96),))


def length(vlm: VisionLanguageModel, request: Request) -> int:
    return vlm.inputs([PHOTO], [build_prompt(request)])["input_ids"].shape[1]


@pytest.mark.parametrize("script", VOICES)
def test_a_voice_of_any_script_is_cut_at_a_word_or_character(
    vlm: VisionLanguageModel, engine: LocalEngine, script: str
) -> None:
    caption = VOICES[script][:LONGEST].strip()
    fitted = engine.fit(ask(Request(voice=(caption,) * 3)))
    assert length(vlm, fitted) + 96 <= vlm.context
    (kept,) = fitted.voice
    assert caption.startswith(kept)
    # It fills the context: one more word or character would not fit.
    assert length(vlm, fitted) + 96 > vlm.context - 60
    characters = re.findall(r"\X", caption)
    assert re.findall(r"\X", kept) == characters[: len(re.findall(r"\X", kept))]
    if script in {"English", "Hindi", "Arabic"}:
        assert kept.split() == caption.split()[: len(kept.split())]
    assert engine.fit(ask(Request(voice=(caption,) * 3))) == fitted


def test_the_newest_captions_stay_and_what_does_not_fit_goes(engine: LocalEngine) -> None:
    voice = (NEWEST, VOICES["English"], "Fog, then ferry.")
    assert engine.fit(ask(Request(voice=voice))).voice == (NEWEST, "Fog, then ferry.")
    assert engine.fit(ask(Request(voice=(NEWEST,)))).voice == (NEWEST,)


def test_no_more_of_a_voice_is_read_than_the_setting_says(vlm: VisionLanguageModel) -> None:
    fitted = LocalEngine(vlm, "demo/1", TrainedTemplate(), limits=TokenLimits(voice=40)).fit(
        ask(Request(voice=(VOICES["English"],)))
    )
    bare = length(vlm, Request())
    assert bare + 20 < length(vlm, fitted) <= bare + 40
    assert (
        LocalEngine(vlm, "demo/1", TrainedTemplate(), limits=TokenLimits(voice=0))
        .fit(ask(Request(voice=(NEWEST,))))
        .voice
        == ()
    )


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("earlier_caption", {"earlier": Post(VOICES["Japanese"]), "hint": "fog"}),
        ("hint", {"hint": "霧" * 100, "location": "San Francisco"}),
        ("location", {"location": "橋" * 100, "hint": "mention the fog"}),
        ("language", {"language": "語" * 100}),
    ],
)
def test_an_option_that_can_not_fit_is_refused_by_name(
    engine: LocalEngine, option: str, given: dict[str, object]
) -> None:
    decoding = Decoding(96 if option == "earlier_caption" else 300)
    with pytest.raises(PromptTooLongError, match=rf"shorten {option}\.$") as refused:
        engine.fit(ask(Request(voice=(NEWEST,), **given), decoding))
    assert refused.value.option == option


def test_the_cache_s_limit_counts_for_every_variant(vlm: VisionLanguageModel) -> None:
    engine = LocalEngine(vlm, "demo/1", TrainedTemplate(), limits=TokenLimits(cache=1200))
    one, four = (engine.fit(ask(Request(voice=(VOICES["English"],)), *[Decoding(96)] * n)) for n in (1, 4))
    assert length(vlm, one) + 96 <= vlm.context
    assert 5 * (length(vlm, four) + 96) <= 1200
    assert 0 < len(four.voice[0]) < len(one.voice[0])


def test_who_waits_for_the_cache_is_written_about(vlm: VisionLanguageModel) -> None:
    limits = TokenLimits(cache=1200)
    engine = LocalEngine(vlm, "demo/1", TrainedTemplate(), threads=1, limits=limits)
    voice = Request(voice=(VOICES["English"],))
    tasks = [ask(voice, Decoding(12)) for _ in range(3)] + [ask(Request(), Decoding(12)) for _ in range(3)]
    engine.add(tasks)
    written: dict[GenerationRequest, GenerationResult] = {}
    most = 0
    while len(written) < len(tasks):
        written |= {task: what for task, what in engine.step() if isinstance(what, GenerationResult)}
        batch = engine._decoder._batch
        held = len(batch.sequences) * batch._cache.tokens if batch._cache else 0
        most = max(most, held)
        assert held <= limits.cache
    assert most > limits.cache / 2
    alone = generate(LocalEngine(vlm, "demo/1", TrainedTemplate()), [tasks[0], tasks[-1]])
    assert [written[tasks[0]].texts, written[tasks[-1]].texts] == [one.texts for one in alone]
    assert written[tasks[0]].voice_shortened
    assert not written[tasks[-1]].voice_shortened


def test_generate_says_what_does_not_fit(vlm: VisionLanguageModel) -> None:
    with pytest.raises(UserError, match=r"context of 512 tokens.*lower max_new_tokens to"):
        vlm.generate([PHOTO], [build_prompt(Request())], Decoding(600))


def steps(engine: LocalEngine, until: Callable[[], bool]) -> int:
    """Step the engine until the condition holds, and return the number of steps."""
    count = 0
    while not until():
        engine.step()
        count += 1
    return count


def test_others_are_written_about_while_a_long_prompt_is_read(vlm: VisionLanguageModel) -> None:
    engine = LocalEngine(vlm, "demo/1", TrainedTemplate(), threads=1, limits=TokenLimits(prefill=32))
    short = ask(Request(), Decoding(60))
    engine.add([short])
    row = engine._started[short].variants[0]
    steps(engine, lambda: bool(row.tokens))
    long = ask(Request(voice=(VOICES["English"],)), Decoding(60))
    engine.add([long])
    before = len(row.tokens)
    taken = steps(engine, lambda: bool(engine._started[long].first_token))
    # About 400 tokens in chunks of 16 columns (two rows each): the other text grew by a token per chunk.
    assert taken > 15
    assert len(row.tokens) - before in {taken, taken - 1}


@pytest.mark.parametrize("threads", [1, 2])
def test_what_nobody_waits_for_is_read_no_further(vlm: VisionLanguageModel, threads: int) -> None:
    engine = LocalEngine(vlm, "demo/1", TrainedTemplate(), threads=threads, limits=TokenLimits(prefill=32))
    company = ask(Request(), Decoding(8))
    engine.add([company])
    engine.step()
    chunks = 0

    def count(*_: object) -> None:
        nonlocal chunks
        chunks += 1

    hook = vlm.model.register_forward_pre_hook(count)
    try:
        long = ask(Request(voice=(VOICES["Japanese"],)))
        engine.add([long])
        engine.step()
        engine.drop(long)
        steps(engine, lambda: not engine._started)
        engine.close()
        engine._prefill_thread.shutdown(wait=True)
    finally:
        hook.remove()
    # The other request's eight tokens, and the chunks that were read before the drop. The whole prompt has 26 or more.
    assert chunks <= 8 + 4
    assert not len(engine._decoder)


@pytest.mark.parametrize(("learned", "read"), [("tone", ()), ("tone,voice", (NEWEST,))])
def test_a_model_that_never_met_a_voice_is_given_none(learned: str, read: tuple[str, ...], tmp_path: Path) -> None:
    models = ROOT / "models"
    quieten_peft()
    config = LoraConfig(r=4, target_modules=r".*language_model.*\.(q_proj|v_proj)")
    get_peft_model(load("demo-base", models).model, config).save_pretrained(tmp_path)
    version = ModelVersion(
        1, "run", "demo-base", find_revision("demo-base", models), "data", "file:///nowhere", learned
    )
    engine = LocalLoader(ServingSettings(), models).load(version, tmp_path, "demo/1")
    assert engine.fit(ask(Request(voice=(NEWEST,)))).voice == read
