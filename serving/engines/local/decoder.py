"""Writing rows together, one token a step: rows join and leave between two tokens, each with its own way of decoding."""

import threading
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch

from serving.engines.local.chunked_prefill import ChunkedPrefill
from serving.engines.local.dynamic_batch import DynamicBatch
from serving.engines.local.lora import LoraSwitch
from serving.engines.local.prefill import PrefillInputs, read
from serving.engines.local.sampling import sample
from serving.engines.local.sequence import PrefilledSequences, TokenSequence
from snap2caption.text.incomplete_characters import complete
from snap2caption.vlm import VisionLanguageModel, image_features

if TYPE_CHECKING:
    from PIL.Image import Image

_NARROW = 512
"""A language model that is less wide than this writes with one thread: to wake another takes as long as its share of so small a product."""


class Decoder:
    """The rows that are being written by one model. One thread writes; another may `read` meanwhile."""

    def __init__(self, vlm: VisionLanguageModel, threads: int | None = None) -> None:
        """Take the model, and how many threads it may use on the CPU (as many as torch does now, if left out).

        Raises:
            UserError: its adapter is of a kind that can't be left out for some rows of a batch.
        """
        self._vlm = vlm
        self._adapter = LoraSwitch(vlm.model)
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
        self._batch = DynamicBatch(self._model, self._adapter)

    def __len__(self) -> int:
        return len(self._batch.rows)

    def longest(self, rows: int, memory: int) -> int:
        """Return how many tokens each of so many rows may hold, within a *memory* of so many tokens: all are as wide as the longest."""
        return memory // rows

    def count_prompt(self, prompt: str) -> int:
        """Return how many tokens are read beside a photo's own, for a prompt in the chat template."""
        # One stands for the photo.
        return len(self._tokenizer(self._vlm.chat(prompt), verbose=False)["input_ids"]) - 1

    def clear(self) -> None:
        """Leave all rows."""
        self._batch.clear()

    @property
    def overlaps(self) -> bool:
        """Whether photos are to be read in a thread beside the one that writes, as that leaves cores idle."""
        return self._step_threads < self._threads and self._model.device.type == "cpu"

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def prefill(
        self, images: "Sequence[Image]", prompts: Sequence[str], rows: Sequence[Sequence[TokenSequence]], *, chunk: int
    ) -> ChunkedPrefill:
        """Look at photos, and return how they are read with their prompts, for rows that are merged later.

        Args:
            images: RGB, any size.
            prompts: one an image.
            rows: those of each image. Of one image, all that are written by the same model share the reading.
            chunk: tokens that are read at once.
        """
        bare = [number for number, own in enumerate(rows) if any(row.bare for row in own)]
        with self._reading:
            reading = read(self._vlm, images, prompts, bare)
        return ChunkedPrefill(self._model, self._adapter, reading, self._look(reading, bare), rows, bare, chunk)

    def take_threads(self, *, beside: bool = False) -> None:
        """Let the calling thread use the cores for reading: all, or those that are left where another thread writes *beside*."""
        torch.set_num_threads(self._threads - self._step_threads if beside else self._threads)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def merge(self, joining: PrefilledSequences) -> None:
        """Write the first token of rows that have been read, and go on with them beside the others."""
        self._batch.join(joining)
        self._choose(joining.logits, joining.rows)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(self) -> None:
        """Write one more token of each row that is not done. Rows that are done are left."""
        self._batch.settle()
        rows = self._batch.rows
        if not rows:
            return
        torch.set_num_threads(self._step_threads)
        self._choose(self._batch.step(), rows)

    def text(self, row: TokenSequence) -> str:
        """Return what is written so far."""
        return complete(str(self._tokenizer.decode(row.tokens, skip_special_tokens=True)))

    def count(self, row: TokenSequence) -> int:
        """Return how many tokens are written so far, without those that end the text."""
        return sum(token not in self._special for token in row.tokens)

    def _look(self, reading: PrefillInputs, bare: list[int]) -> torch.Tensor:
        """Return the pictures' features, then once more those of the pictures *bare*: as the base sees them, if the adapter changes that."""
        pictures = image_features(self._model, reading.pictures).split(reading.image_tokens)
        if self._adapter.sees and bare:
            with self._adapter.only(False):
                pictures_bare = image_features(self._model, reading.pictures).split(reading.image_tokens)
        else:
            pictures_bare = pictures
        return torch.cat([*pictures, *(pictures_bare[number] for number in bare)])

    def _choose(self, logits: torch.Tensor, rows: Sequence[TokenSequence]) -> None:
        """Choose the next token of each row: the likeliest, or one that is drawn."""
        logits = logits.float()
        chosen = logits.argmax(-1)
        sampled = [number for number, row in enumerate(rows) if row.decoding.temperature > 0 and not row.done]
        if sampled:
            places = torch.tensor(sampled, device=logits.device)
            chosen[places] = sample(logits[places], [rows[number] for number in sampled])
        sure = logits.softmax(-1).gather(1, chosen[:, None]).squeeze(1)
        for row, token, probability in zip(rows, chosen.tolist(), sure.tolist(), strict=True):
            # One that is done may still be in the batch: what comes after its end is nobody's.
            if not row.done:
                row.append(token, probability, self._ends)
