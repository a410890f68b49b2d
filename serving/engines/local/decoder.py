"""Decoder with continuous batching: sequences join and leave between two tokens, each with its own parameters."""

import threading
from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from serving.engines.local.chunked_prefill import ChunkedPrefill
from serving.engines.local.dynamic_batch import DynamicBatch
from serving.engines.local.lora import changes_vision, check_plain
from serving.engines.local.prefill import PrefillInputs, prepare_inputs
from serving.engines.local.sampling import sample
from serving.engines.local.sequence import PrefilledSequences, TokenSequence
from serving.engines.local.text_model import TextModel, TextWeights, can_compile
from snap2caption.text.incomplete_characters import complete
from snap2caption.vlm import VisionLanguageModel, image_features, vision_features
from snap2caption.vlm.kernels import best_format
from snap2caption.vlm.out_of_distribution import FeatureReference

if TYPE_CHECKING:
    from PIL.Image import Image

_MIN_PARALLEL_WIDTH = 512
"""Language models narrower than this decode with one thread.

For so small a matrix product, waking another thread takes as long as its share of the work.
"""

_MAX_COMPILED_ROWS = 16
"""With several threads, steps of more rows are not compiled: what PyTorch's threads gain outweighs its calls then."""

_COUNT_CACHE = 256
"""The number of prompts whose tokens are cached: each is counted several times before and when its request starts."""


class Decoder:
    """The sequences that one model is decoding. One thread decodes; another may call `prefill` at the same time."""

    def __init__(
        self,
        vlm: VisionLanguageModel,
        threads: int | None = None,
        reference: FeatureReference | None = None,
        weights: TextWeights | None = None,
        *,
        compiled: bool = True,
    ) -> None:
        """Wrap *vlm*; *threads* is the number of CPU threads it may use (default: torch's current number).

        *reference* is the reference for out-of-distribution scores, if the model has one. *weights* are the packed
        weights of its text model (default: its own, packed now). *compiled* steps are faster, if this model has them;
        compiling them takes seconds once per process, or a part of one with a cache.

        Raises:
            UserError: the adapter is of a kind that can't be switched off for single rows of a batch.
        """
        self._vlm = vlm
        self._reference = reference
        check_plain(vlm.model)
        self._changes_vision = changes_vision(vlm.model)
        self._model: Any = vlm.model.get_base_model() if hasattr(vlm.model, "get_base_model") else vlm.model
        self._threads = threads or torch.get_num_threads()
        narrow = self._model.config.get_text_config().hidden_size < _MIN_PARALLEL_WIDTH
        self._decode_threads = 1 if narrow else self._threads
        weights = weights or TextWeights(self._model, best_format(self._model.dtype))
        self._text = _text_model(self._model, weights, self._decode_threads, compiled=compiled)
        end_tokens = self._model.generation_config.eos_token_id
        self._end_tokens = frozenset(end_tokens if isinstance(end_tokens, list) else [end_tokens])
        # A tokenizer must not decode in one thread while another thread pads with it.
        self._tokenizer = deepcopy(vlm.processor.tokenizer)
        self._processor_lock = threading.Lock()
        self._special_tokens = frozenset(vlm.processor.tokenizer.all_special_ids)
        self._batch = DynamicBatch(self._text)
        self.count_prompt_tokens = lru_cache(_COUNT_CACHE)(self._count_prompt_tokens)

    def __len__(self) -> int:
        return len(self._batch.sequences)

    def _count_prompt_tokens(self, prompt: str) -> int:
        """Return the number of tokens of *prompt* in the chat template, without the photo's own."""
        # One placeholder token stands for the photo.
        return len(self._tokenizer(self._vlm.chat(prompt), verbose=False)["input_ids"]) - 1

    def clear(self) -> None:
        """Drop all sequences."""
        self._batch.clear()

    @property
    def overlaps_prefill(self) -> bool:
        """Whether prefill should run in a second thread, because decoding leaves cores idle."""
        return self._decode_threads < self._threads and self._model.device.type == "cpu"

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def prefill(
        self,
        images: "Sequence[Image]",
        prompts: Sequence[str],
        descriptions: Sequence[str],
        sequences: Sequence[Sequence[TokenSequence]],
        *,
        chunk: int,
    ) -> ChunkedPrefill:
        """Encode the images, and return the chunked prefill of their prompts, for sequences that are merged later.

        Args:
            images: RGB, any size.
            prompts: one per image.
            descriptions: the prompt of each image's description.
            sequences: the texts to generate for each image. Those that use the same weights share one prefill.
            chunk: the most tokens to read at once.
        """
        described = [
            number for number, of_image in enumerate(sequences) if any(sequence.base_only for sequence in of_image)
        ]
        asked = {number: descriptions[number] for number in described}
        with self._processor_lock:
            inputs = prepare_inputs(self._vlm, images, prompts, asked)
        features, unfamiliarity = self._encode_images(inputs, described)
        return ChunkedPrefill(self._text, inputs, features, sequences, described, chunk, unfamiliarity)

    def use_prefill_threads(self, *, overlapped: bool = False) -> None:
        """Set the calling thread's number of CPU threads for prefill.

        It gets all cores or, if *overlapped* with decoding in another thread, those that decoding leaves.
        """
        torch.set_num_threads(self._threads - self._decode_threads if overlapped else self._threads)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def merge(self, prefilled: PrefilledSequences) -> None:
        """Add prefilled sequences to the batch, and select their first token."""
        self._batch.join(prefilled)
        self._select_tokens(prefilled.logits, prefilled.sequences)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(self) -> None:
        """Decode one more token of each unfinished sequence, and evict finished ones."""
        self._batch.evict_finished()
        sequences = self._batch.sequences
        if not sequences:
            return
        torch.set_num_threads(self._decode_threads)
        self._select_tokens(self._batch.step(), sequences)

    def text(self, sequence: TokenSequence) -> str:
        """Return the text so far, without an incomplete last character."""
        return complete(str(self._tokenizer.decode(sequence.tokens, skip_special_tokens=True)))

    def count_tokens(self, sequence: TokenSequence) -> int:
        """Return the number of tokens so far, without special tokens such as the end of text."""
        return sum(token not in self._special_tokens for token in sequence.tokens)

    def _encode_images(self, inputs: PrefillInputs, described: list[int]) -> tuple[torch.Tensor, list[float]]:
        """Return the features of all images, followed by those of the images in *described*, and all images' scores.

        If the adapter changes the vision tower, the features of *described* are computed without it. There are no
        scores without a reference, nor for images that are split into tiles.
        """
        encoded = vision_features(self._model, inputs.vision_inputs)
        features = encoded.tokens.split(inputs.image_tokens)
        whole = len(encoded.patches) == len(inputs.image_tokens)
        scores = self._reference.scores(encoded.patches) if self._reference and whole else []
        if self._changes_vision and described:
            with self._vlm.model.disable_adapter():
                base_features = image_features(self._model, inputs.vision_inputs).split(inputs.image_tokens)
        else:
            base_features = features
        return torch.cat([*features, *(base_features[number] for number in described)]), scores

    def _select_tokens(self, logits: torch.Tensor, sequences: Sequence[TokenSequence]) -> None:
        """Append the next token to each sequence: the most likely one or, with a temperature, a sampled one."""
        logits = logits.float()
        # On a CPU, argmax takes almost twice as long.
        chosen = logits.max(-1).indices
        sampled = [
            number
            for number, sequence in enumerate(sequences)
            if sequence.decoding.temperature > 0 and not sequence.done
        ]
        if sampled:
            rows = torch.tensor(sampled, device=logits.device)
            chosen[rows] = sample(logits[rows], [sequences[number] for number in sampled])
        probabilities = logits.softmax(-1).gather(1, chosen[:, None]).squeeze(1)
        for sequence, token, probability in zip(sequences, chosen.tolist(), probabilities.tolist(), strict=True):
            # It may have been dropped during its prefill.
            if not sequence.done:
                sequence.append(token, probability, self._end_tokens)


def _text_model(model: Any, weights: TextWeights, threads: int, *, compiled: bool) -> TextModel:
    if not (compiled and can_compile(model, weights)):
        return TextModel(model, weights)
    # Only here: importing it compiles.
    from serving.engines.local.compiled_step import CompiledTextModel

    return CompiledTextModel(model, weights, max_rows=None if threads == 1 else _MAX_COMPILED_ROWS)
