"""Collation: batches of prompt and answer in one sequence, with the loss on the answer tokens only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.post import Post, render
from snap2caption.vlm import VisionLanguageModel
from training.data.photos import open_photo
from training.data.posts import fits, shorten

IGNORED = -100
"""The label of a position without loss, as in torch's ``cross_entropy``."""

Batch = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConversationText:
    """A sample as text: prompt and answer in the family's chat template, with the family's end-of-answer token."""

    text: str
    tokens: int
    """Number of tokens; the image counts as one."""
    answer_tokens: int
    """Number of tokens at the end that belong to the answer, including its end token."""


class SampleCollator:
    """Collator that makes batches of samples: the family's processor output, with pixel values, and labels.

    *prompt_for* returns the instruction for a sample's photo. The model learns at most *max_post_tokens* of a post,
    and never more than fit into its context: see `training.data.posts.shorten`.
    """

    def __init__(
        self, vlm: VisionLanguageModel, prompt_for: Callable[[Sample], str], max_post_tokens: int | None = None
    ) -> None:
        self.vlm = vlm
        self.tokenizer = vlm.processor.tokenizer
        self.prompt_for = prompt_for
        self.max_post_tokens = min(max_post_tokens or vlm.context, vlm.context)

    def is_cut(self, post: Post) -> bool:
        """Return whether *post* is too long to be learned whole, even when its image leaves enough room."""
        return not fits(render(post), self.max_post_tokens, self._count)

    def fit_to_context(self, sample: Sample, size: tuple[int, int]) -> ConversationText:
        """Return *sample* as text, its post shortened to fit next to an image of *size* (width, height) in pixels."""
        sample = replace(sample, post=shorten(sample.post, self.max_post_tokens, self._count))
        conversation = self.to_conversation(sample)
        beyond = conversation.tokens - 1 + self.vlm.image_tokens(*size) - self.vlm.context
        if beyond <= 0:
            return conversation
        # A margin of 8 tokens: for a shorter post the prompt may name another length.
        room = max(1, conversation.answer_tokens - beyond - 8)
        return self.to_conversation(replace(sample, post=shorten(sample.post, room, self._count)))

    def to_conversation(self, sample: Sample) -> ConversationText:
        """Return *sample* as text, with the length of its answer.

        Raises:
            UserError: the chat template changes the question or the answer, so the answer's tokens can't be found.
        """
        prompt, post = self.vlm.plain(self.prompt_for(sample)), self.vlm.plain(render(sample.post))
        question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
        answer = {"role": "assistant", "content": [{"type": "text", "text": post}]}
        start = self.vlm.chat(prompt)
        rendered = str(self.vlm.processor.apply_chat_template([question, answer], tokenize=False))
        answered, found, rest = rendered.removeprefix(start).partition(post)
        if not rendered.startswith(start) or not found:
            raise UserError(
                f"The chat template of {self.vlm.base} rewrites the question or the answer; use another base model."
            )
        # Keep what a template appends to the answer only if it is a token: LLaVA 1.5's appends a space, and LLaVA
        # 1.6's, by mistake, the letters `<\s>`, which a model would learn to spell.
        end = next((token for token in self.tokenizer.all_special_tokens if rest.startswith(token)), None)
        text = start + answered + post + (end or self.tokenizer.eos_token)
        asked, whole = self._ids(start), self._ids(text)
        # Tokenize question and answer as one text, because some tokenizers encode the first word of a text
        # differently. The answer starts where the two sequences diverge.
        common = next((i for i, pair in enumerate(zip(asked, whole, strict=False)) if pair[0] != pair[1]), len(asked))
        return ConversationText(text, len(whole), len(whole) - common)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Return a right-padded batch with the image inputs.

        ``input_ids``, ``attention_mask`` and ``labels`` have the shape (batch, tokens).
        """
        photos = [open_photo(sample) for sample in samples]
        conversations = [self.fit_to_context(sample, photo.size) for sample, photo in zip(samples, photos, strict=True)]
        self.tokenizer.padding_side = "right"
        batch = dict(
            self.vlm.processor(
                images=photos,
                text=[conversation.text for conversation in conversations],
                return_tensors="pt",
                padding=True,
            )
        )
        lengths = batch["attention_mask"].sum(dim=1)
        answers = torch.tensor([conversation.answer_tokens for conversation in conversations])
        batch["labels"] = label(batch["input_ids"], lengths, answers)
        return batch

    def _count(self, text: str) -> int:
        return len(self.tokenizer(self.vlm.plain(text), add_special_tokens=False, verbose=False)["input_ids"])

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, verbose=False)["input_ids"])


def label(input_ids: torch.Tensor, lengths: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Return the labels of right-padded sequences: the answer's tokens, and `IGNORED` elsewhere.

    The model shifts the labels itself: label *i* is the token at position *i*, predicted from the tokens before it.

    Args:
        input_ids: (batch, tokens).
        lengths: (batch,), number of tokens without padding.
        answers: (batch,), number of tokens at the end that belong to the answer.
    """
    position = torch.arange(input_ids.shape[1])
    is_answer = (position >= (lengths - answers)[:, None]) & (position < lengths[:, None])
    return input_ids.where(is_answer, IGNORED)


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """A sample whose image has been encoded by the vision tower.

    Shapes: ``input_ids`` and ``labels`` (tokens,), ``features`` (image tokens, width).
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    features: torch.Tensor


class EncodedCollator:
    """Collator for encoded samples: ``image_features`` (all image tokens, width) replace the pixel values."""

    def __init__(self, padding_token: int) -> None:
        self.padding_token = padding_token

    def __call__(self, samples: Sequence[EncodedSample]) -> Batch:
        """Return a right-padded batch with the image features.

        ``input_ids``, ``attention_mask`` and ``labels`` have the shape (batch, tokens).
        """
        ones = [torch.ones_like(sample.input_ids) for sample in samples]
        return {
            "input_ids": pad_sequence(
                [sample.input_ids for sample in samples], batch_first=True, padding_value=self.padding_token
            ),
            "attention_mask": pad_sequence(ones, batch_first=True),
            "labels": pad_sequence([sample.labels for sample in samples], batch_first=True, padding_value=IGNORED),
            "image_features": torch.cat([sample.features for sample in samples]),
        }
