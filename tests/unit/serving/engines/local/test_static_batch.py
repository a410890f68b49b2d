"""Slots of fixed shapes against the padded batch: the same texts, whoever joins and leaves, compiled or not."""

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from families import FAMILIES, Family
from peft import LoraConfig, get_peft_model
from PIL import Image
from prefills import read_in
from torch._dynamo.eval_frame import _debug_get_cache_entry_list

from serving.engines.base import Task, Written, write
from serving.engines.local.decoder import MakeBatch, Rows
from serving.engines.local.dynamic_batch import Padded
from serving.engines.local.engine import LocalEngine
from serving.engines.local.loader import LocalLoader
from serving.engines.local.lora import Adapter
from serving.engines.local.sequence import Row
from serving.engines.local.static_batch import Slots
from serving.settings import ServingSettings
from snap2caption.post import Request, Tone, build_prompt
from snap2caption.registry import ModelVersion
from snap2caption.settings import ROOT
from snap2caption.vlm import Decoding, VisionLanguageModel, find_revision, load, quieten_peft, with_adapter

# LLaVA 1.6 has a backslash too many in its template.
pytestmark = [
    pytest.mark.unit,
    pytest.mark.filterwarnings("ignore:.*invalid escape sequence:DeprecationWarning"),
    # The compiler's own modules still use it.
    pytest.mark.filterwarnings("ignore:.*torch.jit.* is deprecated:DeprecationWarning"),
]

ROOM = 16
"""So little that a few tokens more are another shape."""


class Watched(Slots):
    """Slots that note which shapes their steps had."""

    def __init__(self, model: Any, adapter: Adapter, **more: Any) -> None:
        super().__init__(model, adapter, **more)
        self.shapes: list[tuple[int, int]] = []

    def step(self) -> torch.Tensor:
        block = self._in_use
        self.shapes.append((block.slots, block.room))
        return super().step()


def sampled(tokens: int, seed: int) -> Decoding:
    return Decoding(tokens, temperature=0.9, seed=seed)


def adapt(base: VisionLanguageModel, folder: Path, targets: str) -> VisionLanguageModel:
    """Return *base* with a random adapter, large enough to change what is written."""
    quieten_peft()
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=16, target_modules=targets, init_lora_weights=False)
    get_peft_model(load(base.base, folder.parent).model, config).save_pretrained(folder)
    return with_adapter(base, folder, folder.parent)


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=lambda family: family.name)
def vlm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VisionLanguageModel:
    return adapted(request.param, tmp_path_factory.mktemp("models"))


def adapted(family: Family, folder: Path) -> VisionLanguageModel:
    family.write(folder)
    return adapt(load(family.name, folder), folder / "adapter", family.language)


def come_and_go(vlm: VisionLanguageModel, batch: MakeBatch) -> tuple[list[list[int]], Rows]:
    """Write rows that join at different steps and are of different length, greedy and sampled, bare and not; return their tokens."""
    rows = Rows(vlm, batch=batch)
    photos = [Image.new("RGB", size, "teal") for size in ((40, 60), (60, 40), (200, 90), (40, 40))]
    prompts = [
        build_prompt(Request(tone=tone, location=place))
        for tone, place in (
            (None, None),
            (Tone.WITTY, "Pier 39"),
            (Tone.MINIMAL, None),
            (None, "Golden Gate Park, at the end of the day"),
        )
    ]
    own = [
        [Row(Decoding(9)), Row(Decoding(5), bare=True)],
        [Row(Decoding(20)), Row(sampled(20, 3)), Row(sampled(12, 4)), Row(Decoding(20), bare=True)],
        [Row(Decoding(3), bare=True)],
        [Row(sampled(30, 5)), Row(Decoding(1))],
    ]  # fmt: skip
    rows.merge(read_in(rows, photos[:1], prompts[:1], own[:1]))
    rows.step()
    rows.step()
    rows.merge(read_in(rows, photos[1:3], prompts[1:3], own[1:3]))
    for _ in range(12):
        rows.step()
    rows.merge(read_in(rows, photos[3:], prompts[3:], own[3:]))
    while len(rows):
        rows.step()
    return [row.tokens for many in own for row in many], rows


def test_texts_are_those_of_the_padded_batch(vlm: VisionLanguageModel) -> None:
    padded, _ = come_and_go(vlm, Padded)
    tokens, rows = come_and_go(vlm, partial(Watched, tokens=ROOM, compiled=False))
    assert tokens == padded
    # It was not one text, and the slots have grown, got fewer, and changed their room.
    assert len({tuple(one[:3]) for one in padded}) > 3
    assert isinstance(rows._batch, Watched)
    slots = [count for count, _ in rows._batch.shapes]
    assert slots[0] == 2
    assert max(slots) == 8
    assert slots[-1] < 8
    assert len({room for _, room in rows._batch.shapes}) > 1


# The second is what a GPU gets, but takes seconds a shape: it gets few of them.
@pytest.mark.parametrize(("backend", "tokens"), [("aot_eager", ROOM), ("inductor", 256)])
def test_compiled_steps_write_the_same(backend: str, tokens: int, tmp_path: Path) -> None:
    vlm = adapted(FAMILIES["tiny-llava-1.5"], tmp_path)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    padded, _ = come_and_go(vlm, Padded)
    written, rows = come_and_go(vlm, partial(Watched, tokens=tokens, backend=backend))
    assert written == padded
    assert isinstance(rows._batch, Watched)
    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    # One graph a shape, and no break in any.
    assert compiled == len(set(rows._batch.shapes))
    assert not torch._dynamo.utils.counters["graph_break"]


def test_what_was_compiled_goes_with_the_engine(tmp_path: Path) -> None:
    vlm = adapted(FAMILIES["tiny-llava-1.5"], tmp_path)
    rows = Rows(vlm, batch=partial(Slots, backend="eager"))
    rows.merge(read_in(rows, [Image.new("RGB", (40, 60), "teal")], [build_prompt(Request())], [[Row(Decoding(4))]]))
    rows.step()
    assert isinstance(rows._batch, Slots)
    code = rows._batch._forward._torchdynamo_orig_callable.__code__  # type: ignore[attr-defined]
    assert _debug_get_cache_entry_list(code)
    del rows
    gc.collect()
    assert not _debug_get_cache_entry_list(code)


def photos_of(engine: LocalEngine) -> list[Written]:
    first = Task(Image.new("RGB", (64, 64), "skyblue"), Request(), (Decoding(24), sampled(24, 3), sampled(30, 7)))
    second = Task(Image.new("RGB", (64, 64), "darkred"), Request(), (sampled(9, 1),))
    engine.add([first])
    written: dict[Task, Written] = {}
    for _ in range(5):
        engine.step()
    engine.add([second])
    while len(written) < 2:
        written |= {done: what for done, what in engine.step() if isinstance(what, Written)}
    return [written[first], written[second], *write(engine, [first])]


def test_the_engine_writes_the_same_and_can_be_used_again() -> None:
    vlm = load("demo-base", ROOT / "models")
    padded = photos_of(LocalEngine(vlm, "demo/1", max_batch=4))
    slots = photos_of(LocalEngine(vlm, "demo/1", max_batch=4, batch=partial(Slots, compiled=False)))
    for one, other in zip(slots, padded, strict=True):
        assert (one.texts, one.description, one.tokens) == (other.texts, other.description, other.tokens)
        assert one.confidences == pytest.approx(other.confidences, abs=1e-4)


def test_what_a_broken_row_left_in_its_slot_spoils_nobody_elses(tmp_path: Path) -> None:
    vlm = adapted(FAMILIES["tiny-llava-1.5"], tmp_path)
    photo, prompt = Image.new("RGB", (40, 60), "teal"), build_prompt(Request())
    alone = Row(Decoding(8))
    rows = Rows(vlm, batch=partial(Slots, compiled=False))
    rows.merge(read_in(rows, [photo], [prompt], [[alone]]))
    while len(rows):
        rows.step()
    batch = rows._batch
    assert isinstance(batch, Slots)
    for pair in batch._storage:
        for flat in pair:
            with torch.inference_mode():
                flat.fill_(torch.nan)
    again = Row(Decoding(8))
    rows.merge(read_in(rows, [photo], [prompt], [[again]]))
    while len(rows):
        rows.step()
    assert again.tokens == alone.tokens
    assert 0 < again.confidence <= 1


def test_memory_is_free_after_all_rows_are_cleared(tmp_path: Path) -> None:
    rows = Rows(adapted(FAMILIES["tiny-llava-1.5"], tmp_path), batch=partial(Slots, compiled=False))
    rows.merge(read_in(rows, [Image.new("RGB", (40, 60), "teal")], [build_prompt(Request())], [[Row(Decoding(8))]]))
    rows.clear()
    assert isinstance(rows._batch, Slots)
    assert len(rows) == 0
    assert not rows._batch._storage


@pytest.mark.parametrize(("asked", "batch"), [(False, Padded), (True, Slots)])
def test_the_setting_says_how_rows_are_batched(asked: bool, batch: Callable[..., object], tmp_path: Path) -> None:
    models = ROOT / "models"
    quieten_peft()
    config = LoraConfig(r=4, target_modules=r".*language_model.*\.(q_proj|v_proj)")
    get_peft_model(load("demo-base", models).model, config).save_pretrained(tmp_path)
    version = ModelVersion(1, "run", "demo-base", find_revision("demo-base", models), "data", "file:///nowhere")
    engine = LocalLoader(ServingSettings(compile=asked), models).load(version, tmp_path, "demo/1")
    assert isinstance(engine, LocalEngine)
    assert type(engine._rows._batch) is batch
