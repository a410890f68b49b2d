"""The local engine on the small real model that the project ships."""

from itertools import pairwise

import pytest
from PIL import Image

from serving.engines.base import Event, GenerationChunk, GenerationRequest, GenerationResult, drop_cut_end, generate
from serving.engines.local.engine import LocalEngine
from serving.prompting.trained import TrainedTemplate
from snap2caption.post import DESCRIBE_PROMPT, Request, Tone, build_prompt
from snap2caption.vlm import Decoding, VisionLanguageModel

pytestmark = pytest.mark.unit

SAMPLED = Decoding(24, temperature=0.8, seed=3)
PLAIN = Request()


@pytest.fixture
def local(vlm: VisionLanguageModel) -> LocalEngine:
    return LocalEngine(vlm, "demo/1", TrainedTemplate())


def task(color: str, *decodings: Decoding, request: Request = PLAIN, stream: bool = False) -> GenerationRequest:
    return GenerationRequest(Image.new("RGB", (64, 64), color), request, decodings or (Decoding(24),), stream)


def test_a_seed_gives_the_same_caption_alone_and_in_company(local: LocalEngine) -> None:
    alone = generate(local, [task("skyblue", SAMPLED)])[0]
    with_others = generate(local, [task("darkred", SAMPLED), task("skyblue", SAMPLED), task("green")])[1]
    assert alone.texts == with_others.texts


def test_every_task_gets_its_own_variants_and_description(local: LocalEngine) -> None:
    written = generate(local, [task("skyblue", Decoding(24), SAMPLED), task("darkred")])
    assert [len(one.texts) for one in written] == [2, 1]
    assert written[0].texts[0] != written[0].texts[1]
    assert all(one.description and one.tokens for one in written)
    assert all(0 < confidence <= 1 for one in written for confidence in one.confidences)


def test_who_comes_later_changes_nothing(vlm: VisionLanguageModel, local: LocalEngine) -> None:
    request = Request(tone=Tone.WITTY, location="Pier 39")
    tasks = [task("skyblue", Decoding(30)), task("darkred", Decoding(9), request=request), task("green", Decoding(20))]
    events: list[Event] = []
    for one in tasks:
        local.add([one])
        for _ in range(4):
            events += local.step()
    while sum(isinstance(what, GenerationResult) for _, what in events) < len(tasks):
        events += local.step()
    written = {done: what for done, what in events if isinstance(what, GenerationResult)}
    for one in tasks:
        caption = vlm.generate([one.image], [build_prompt(one.request)], one.decodings[0])[0].text
        described = vlm.generate([one.image], [DESCRIBE_PROMPT], one.decodings[0])[0].text
        assert (written[one].texts[0], written[one].description) == (caption, described)


def test_photos_are_read_beside_writing_and_wait_for_a_place(vlm: VisionLanguageModel) -> None:
    engine = LocalEngine(vlm, "demo/1", TrainedTemplate(), max_batch=2, threads=2)
    assert engine.reads_ahead
    tasks = [task("skyblue", Decoding(30)), task("darkred"), task("green", Decoding(9)), task("white", SAMPLED)]
    engine.add(tasks[:2])
    engine.add(tasks[2:3])
    engine.add(tasks[3:])
    written: dict[GenerationRequest, GenerationResult] = {}
    while len(written) < len(tasks):
        assert sum(not row.base_only and not row.done for row in engine._decoder._batch.sequences) <= 2
        written |= {done: what for done, what in engine.step() if isinstance(what, GenerationResult)}
    for one in tasks[:3]:
        assert written[one].texts[0] == vlm.generate([one.image], [build_prompt(one.request)], one.decodings[0])[0].text
    alone = generate(LocalEngine(vlm, "demo/1", TrainedTemplate()), [task("white", SAMPLED)])
    assert written[tasks[3]].texts == alone[0].texts


def test_a_photo_that_fails_in_the_reader_ends_the_step(
    vlm: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LocalEngine(vlm, "demo/1", TrainedTemplate(), threads=2)
    engine.add([task("skyblue", Decoding(200))])
    with monkeypatch.context() as broken:
        broken.setattr("serving.engines.local.decoder.vision_features", _fail)
        engine.add([task("darkred")])
        with pytest.raises(MemoryError):
            write_on(engine)
    assert not engine.step()
    assert generate(engine, [task("green")])[0].description


def write_on(engine: LocalEngine) -> None:
    while engine._started:
        engine.step()


def _fail(*_: object) -> None:
    raise MemoryError


def test_a_text_grows_piece_by_piece(local: LocalEngine) -> None:
    asked = task("skyblue", stream=True)
    local.add([asked, task("darkred")])
    pieces: list[str] = []
    while True:
        events = local.step()
        pieces += [what.text for about, what in events if isinstance(what, GenerationChunk) and about is asked]
        if any(isinstance(what, GenerationResult) and about is asked for about, what in events):
            break
    assert len(pieces) > 5
    assert all(len(before) <= len(after) for before, after in pairwise(pieces))


def test_what_nobody_waits_for_is_not_written(local: LocalEngine) -> None:
    wanted, unwanted = task("skyblue"), task("darkred", Decoding(200))
    local.add([wanted, unwanted])
    local.drop(unwanted)
    events: list[Event] = []
    while not events:
        events = local.step()
    assert [about for about, _ in events] == [wanted]
    assert len(local._decoder) == 0


def test_a_hashtag_that_the_limit_may_have_cut_is_left_out() -> None:
    assert drop_cut_end("Sunset again.\n#sf #gold", cut=True) == "Sunset again.\n#sf"
    assert drop_cut_end("Sunset again.\n#sf #gold", cut=False) == "Sunset again.\n#sf #gold"


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Sunset again. We walked to the", "Sunset again."),
        ("Sunset again!\nWe walked to", "Sunset again!"),
        ("夕焼け。海まで歩い", "夕焼け。"),
        ("Sunset again. We walked home.", "Sunset again. We walked home."),
        ('Sunset again. "We walked."', 'Sunset again. "We walked."'),
        ("Sunset again. We walked ✨", "Sunset again. We walked ✨"),
        ("We walked to the", "We walked to the"),
        ("", ""),
    ],
)
def test_a_text_that_the_limit_cut_ends_at_a_whole_sentence(text: str, ends: str) -> None:
    assert drop_cut_end(text, cut=True) == ends
    assert drop_cut_end(text, cut=False) == text


class _ShoutingTemplate(TrainedTemplate):
    """Asks for each photo in other words, and shows replies in capital letters."""

    def caption(self, request: Request) -> str:
        return f"{build_prompt(request)} Please."

    def description(self, request: Request) -> str:
        return f"{DESCRIBE_PROMPT} {request.location or ''}"

    def clean(self, reply: str, *, finished: bool) -> str:
        return reply.upper() if finished else reply.upper()[:3]

    def clean_description(self, reply: str) -> str:
        return reply.upper()


def test_prompts_and_replies_go_through_the_template(vlm: VisionLanguageModel) -> None:
    template = _ShoutingTemplate()
    engine = LocalEngine(vlm, "demo/1", template)
    tasks = [
        task("skyblue", request=Request(location="Pier 39"), stream=True),
        task("darkred", request=Request(location="the Golden Gate Bridge at night")),
    ]
    engine.add(tasks)
    events: list[Event] = []
    while sum(isinstance(what, GenerationResult) for _, what in events) < len(tasks):
        events += engine.step()
    written = {done: what for done, what in events if isinstance(what, GenerationResult)}
    for one in tasks:
        caption, description = (
            vlm.generate([one.image], [prompt], one.decodings[0])[0].text.upper()
            for prompt in (template.caption(one.request), template.description(one.request))
        )
        assert (written[one].texts[0], written[one].description) == (caption, description)
    shown = [what.text for _, what in events if isinstance(what, GenerationChunk)]
    assert shown[-1] == written[tasks[0]].texts[0][:3]
