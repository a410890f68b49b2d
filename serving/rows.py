"""Writing rows together, one token a step: rows join and leave between two tokens, each with its own way of decoding."""

import threading
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from serving.attention_cache import AttentionCache
from serving.reading import Reading, read
from snap2caption.errors import UserError
from snap2caption.vlm import SEEING, Decoding, VisionLanguageModel, image_features

if TYPE_CHECKING:
    from PIL.Image import Image

_IDLE = 0.25
"""Rows that are done stay in the batch until they are more than this share of it: to let them go copies the cache."""

_NARROW = 512
"""A language model that is less wide than this writes with one thread: to wake another takes as long as its share of so small a product."""


@dataclass(slots=True, eq=False)
class Row:
    """One text that is being written: by the adapted model, or (*bare*) by the base without its adapter."""

    decoding: Decoding
    bare: bool = False
    tokens: list[int] = field(default_factory=list)
    done: bool = False
    cut: bool = False
    """Whether the text had to end because it was as long as may be."""
    _sure: float = 0.0
    _random: torch.Generator | None = None

    def __post_init__(self) -> None:
        if self.decoding.temperature > 0:
            # A generator a row: a seed gives the same text whoever is written beside it.
            self._random = torch.Generator().manual_seed(self.decoding.seed)

    @property
    def confidence(self) -> float:
        """The mean probability of the tokens, 0 to 1."""
        return self._sure / len(self.tokens) if self.tokens else 0.0

    def draw(self) -> float:
        """Return the next random number, 0 to 1; 0 where nothing is left to chance."""
        return 0.0 if self._random is None else float(torch.rand((), generator=self._random))

    def append(self, token: int, probability: float, ends: frozenset[int]) -> None:
        """Add a token. The row is done at an end token, or when it is as long as may be."""
        self.tokens.append(token)
        self._sure += probability
        self.cut = token not in ends and len(self.tokens) >= self.decoding.max_new_tokens
        self.done = self.cut or token in ends


@dataclass(frozen=True, slots=True, eq=False)
class Joining:
    """Rows whose photos and prompts have been read, before their first token."""

    rows: list[Row]
    cache: AttentionCache
    mask: torch.Tensor
    """Of shape (rows, tokens read), 0 on padding."""
    positions: torch.Tensor
    """Of each row's next token."""
    logits: torch.Tensor
    """Of shape (rows, vocabulary)."""
    tokens: int
    """How many were read, without padding."""


class Rows:
    """The rows that are being written by one model. One thread writes; another may `read` meanwhile."""

    def __init__(self, vlm: VisionLanguageModel, threads: int | None = None) -> None:
        """Take the model, and how many threads it may use on the CPU: as many as torch does now, if left out.

        Raises:
            UserError: its adapter is of a kind that can't be left out for some rows of a batch.
        """
        self._vlm = vlm
        self._adapter = _Adapter(vlm.model)
        self._model: Any = vlm.model.get_base_model() if hasattr(vlm.model, "get_base_model") else vlm.model
        self._threads = threads or torch.get_num_threads()
        narrow = self._model.config.get_text_config().hidden_size < _NARROW
        self._step_threads = 1 if narrow else self._threads
        ends = self._model.generation_config.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [ends])
        # A tokenizer must not decode in one thread while another pads with it.
        self._tokenizer = deepcopy(vlm.processor.tokenizer)
        self._reading = threading.Lock()
        self._special = frozenset(vlm.processor.tokenizer.all_special_ids)
        self.clear()

    def __len__(self) -> int:
        return len(self._rows)

    def clear(self) -> None:
        """Leave all rows."""
        self._rows: list[Row] = []
        self._cache: AttentionCache | None = None
        self._mask = torch.empty(0)
        self._positions = torch.empty(0)

    @property
    def overlaps(self) -> bool:
        """Whether photos are to be read in a thread beside the one that writes, as that leaves cores idle."""
        return self._step_threads < self._threads and self._model.device.type == "cpu"

    def join(self, images: "Sequence[Image]", prompts: Sequence[str], rows: Sequence[Sequence[Row]]) -> int:
        """Read photos and prompts (see `read`), and write the first token of each row. Return how many tokens were read."""
        joining: Joining = self.read(images, prompts, rows)
        self.merge(joining)
        return joining.tokens

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def read(
        self, images: "Sequence[Image]", prompts: Sequence[str], rows: Sequence[Sequence[Row]], *, beside: bool = False
    ) -> "Joining":
        """Read photos and prompts, for rows that are merged later.

        Args:
            images: RGB, any size.
            prompts: one an image.
            rows: those of each image. Of one image, all that are written by the same model share the reading.
            beside: another thread writes meanwhile.
        """
        torch.set_num_threads(self._threads - self._step_threads if beside else self._threads)
        bare = [number for number, own in enumerate(rows) if any(row.bare for row in own)]
        with self._reading:
            reading = read(self._vlm, images, prompts, bare)
        ids, mask = reading.ids, reading.mask
        features = self._look(reading, bare)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        cache = AttentionCache()
        with self._adapter.only([number < len(images) for number in range(len(ids))]):
            logits = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                mm_encoder_outputs={"image": BaseModelOutputWithPooling(pooler_output=[features])},
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        described = {number: len(images) + place for place, number in enumerate(bare)}
        placed = [(described[number] if row.bare else number, row) for number, own in enumerate(rows) for row in own]
        places = torch.tensor([place for place, _ in placed], device=ids.device)
        cache.rearrange(places)
        next_positions = positions[places, -1] + 1
        return Joining([row for _, row in placed], cache, mask[places], next_positions, logits[places], int(mask.sum()))

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def merge(self, joining: "Joining") -> None:
        """Write the first token of rows that have been read, and go on with them beside the others."""
        self._merge(joining.rows, joining.cache, joining.mask, joining.positions)
        self._choose(joining.logits, joining.rows)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(self) -> None:
        """Write one more token of each row that is not done. Rows that are done are left, many at once."""
        done = sum(row.done for row in self._rows)
        if done == len(self._rows) or done > _IDLE * len(self._rows):
            self._leave()
        if not self._rows:
            return
        torch.set_num_threads(self._step_threads)
        ids = torch.tensor([[row.tokens[-1]] for row in self._rows], device=self._mask.device)
        self._mask = nn.functional.pad(self._mask, (0, 1), value=1)
        with self._adapter.only([not row.bare for row in self._rows]):
            logits = self._model(
                input_ids=ids,
                attention_mask=self._mask,
                position_ids=self._positions[:, None],
                past_key_values=self._cache,
                use_cache=True,
            ).logits[:, -1]
        self._positions = self._positions + 1
        self._choose(logits, self._rows)

    def text(self, row: Row) -> str:
        """Return what is written so far."""
        return str(self._tokenizer.decode(row.tokens, skip_special_tokens=True)).strip()

    def count(self, row: Row) -> int:
        """Return how many tokens are written so far, without those that end the text."""
        return sum(token not in self._special for token in row.tokens)

    def _look(self, reading: Reading, bare: list[int]) -> torch.Tensor:
        """Return the pictures' features, then once more those of the pictures *bare*: as the base sees them, if the adapter changes that."""
        pictures = image_features(self._model, reading.pictures).split(reading.image_tokens)
        if self._adapter.sees and bare:
            with self._adapter.only(False):
                pictures_bare = image_features(self._model, reading.pictures).split(reading.image_tokens)
        else:
            pictures_bare = pictures
        return torch.cat([*pictures, *(pictures_bare[number] for number in bare)])

    def _merge(self, rows: list[Row], cache: AttentionCache, mask: torch.Tensor, positions: torch.Tensor) -> None:
        self._leave()
        if self._cache is None:
            self._rows, self._cache, self._mask, self._positions = rows, cache, mask, positions
            return
        self._cache.join(cache)
        width = max(self._mask.shape[1], mask.shape[1])
        self._mask = torch.cat([nn.functional.pad(one, (width - one.shape[1], 0)) for one in (self._mask, mask)])
        self._positions = torch.cat([self._positions, positions])
        self._rows = [*self._rows, *rows]

    def _leave(self) -> None:
        """Let rows go that are done, and the columns that only they needed."""
        kept = [number for number, row in enumerate(self._rows) if not row.done]
        if len(kept) == len(self._rows) or self._cache is None:
            return
        if not kept:
            self.clear()
            return
        rows = torch.tensor(kept, device=self._mask.device)
        mask = self._mask[rows]
        drop = int(mask.any(0).int().argmax())
        self._cache.rearrange(rows, drop)
        self._mask, self._positions = mask[:, drop:], self._positions[rows]
        self._rows = [self._rows[number] for number in kept]

    def _choose(self, logits: torch.Tensor, rows: Sequence[Row]) -> None:
        """Choose the next token of each row: the likeliest, or one from the nucleus."""
        logits = logits.float()
        chosen = logits.argmax(-1)
        sampled = [number for number, row in enumerate(rows) if row.decoding.temperature > 0 and not row.done]
        if sampled:
            places = torch.tensor(sampled, device=logits.device)
            chosen[places] = _sample(logits[places], [rows[number] for number in sampled])
        sure = logits.softmax(-1).gather(1, chosen[:, None]).squeeze(1)
        for row, token, probability in zip(rows, chosen.tolist(), sure.tolist(), strict=True):
            # One that is done may still be in the batch: what comes after its end is nobody's.
            if not row.done:
                row.append(token, probability, self._ends)


def _sample(logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """Return a token a row: drawn from the fewest tokens that together are as likely as its ``top_p``, by its own random numbers."""

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, device=logits.device)[:, None]

    ordered, tokens = (logits / column([row.decoding.temperature for row in rows])).softmax(-1).sort(descending=True)
    sums = ordered.cumsum(-1)
    # A token is in if those before it do not suffice; the first one always is.
    nucleus = ordered * (sums - ordered < column([row.decoding.top_p for row in rows]))
    sums = nucleus.cumsum(-1)
    # Never the whole: a number next to 1 must not fall behind the last token.
    drawn = column([row.draw() for row in rows]).clamp(max=1 - 1e-6) * sums[:, -1:]
    return tokens.gather(1, (sums <= drawn).sum(-1, keepdim=True)).squeeze(1)


class _Adapter:
    """The LoRA adapter of a model, which some rows of a batch can do without: what it adds is multiplied by 1 or 0, row by row."""

    def __init__(self, model: nn.Module) -> None:
        self.sees = False
        """Whether it changes what is seen of a picture."""
        # Each thread has its own: one may read photos while another writes.
        self._local = threading.local()
        for name, module in model.named_modules():
            if not isinstance(module, LoraLayer):
                continue
            if module.lora_embedding_B or module.lora_magnitude_vector:
                raise UserError(
                    "The adapter is more than plain LoRA of linear layers, which is all that is served; train it with another recipe."
                )
            self.sees |= any(part in name for part in SEEING)
            for added in module.lora_B.values():
                added.register_forward_hook(self._scale)

    def only(self, rows: Sequence[bool] | bool) -> "_Only":
        """Within this context, the adapter counts only for these rows (True), or for all or none."""
        if isinstance(rows, bool):
            return _Only(self, None if rows else torch.zeros(()))
        return _Only(self, None if all(rows) else torch.tensor(rows)[:, None, None])

    def _scale(self, _: nn.Module, __: object, added: torch.Tensor) -> torch.Tensor | None:
        share: torch.Tensor | None = getattr(self._local, "share", None)
        return None if share is None else added * share.to(added)


class _Only:
    def __init__(self, adapter: _Adapter, share: torch.Tensor | None) -> None:
        self._adapter = adapter
        self._share = share

    def __enter__(self) -> None:
        self._adapter._local.share = self._share

    def __exit__(self, *_: object) -> None:
        self._adapter._local.share = None
