"""From samples to the model's training batches: prompt and answer in one sequence, the loss on the answer alone."""

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
"""The label of a position that carries no loss."""

Batch = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConversationText:
    """A sample as text: the prompt and the answer in the family's chat template, ended as the family ends an answer."""

    text: str
    tokens: int
    """How many tokens it has, one of them for the picture."""
    answer_tokens: int
    """How many of the last tokens are the answer's, its end token among them."""


class SampleCollator:
    """Makes batches from samples, with the pictures' pixels: what the family's own processor returns, and labels.

    *prompt_for* writes the instruction that goes beside a sample's photo. Of a post *max_post_tokens* are learned, and in any case no more than fit
    into the model's context: see `training.data.posts.shorten`.
    """

    def __init__(
        self, vlm: VisionLanguageModel, prompt_for: Callable[[Sample], str], max_post_tokens: int | None = None
    ) -> None:
        self.vlm = vlm
        self.tokenizer = vlm.processor.tokenizer
        self.prompt_for = prompt_for
        self.max_post_tokens = min(max_post_tokens or vlm.context, vlm.context)

    def is_cut(self, post: Post) -> bool:
        """Whether *post* is longer than what is learned of it, wherever the picture leaves room for that."""
        return not fits(render(post), self.max_post_tokens, self._count)

    def learned(self, sample: Sample, size: tuple[int, int]) -> ConversationText:
        """Return as text what is learned of *sample*, beside a picture of that width and height."""
        sample = replace(sample, post=shorten(sample.post, self.max_post_tokens, self._count))
        conversation = self.converse(sample)
        beyond = conversation.tokens - 1 + self.vlm.image_tokens(*size) - self.vlm.context
        if beyond <= 0:
            return conversation
        # Some less, as the prompt may then name another length.
        room = max(1, conversation.answer_tokens - beyond - 8)
        return self.converse(replace(sample, post=shorten(sample.post, room, self._count)))

    def converse(self, sample: Sample) -> ConversationText:
        """Return *sample* as text, with the length of its answer."""
        prompt, post = self.vlm.plain(self.prompt_for(sample)), self.vlm.plain(render(sample.post))
        question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
        answer = {"role": "assistant", "content": [{"type": "text", "text": post}]}
        start = self.vlm.chat(prompt)
        rendered = str(self.vlm.processor.apply_chat_template([question, answer], tokenize=False))
        answered, found, rest = rendered.removeprefix(start).partition(post)
        if not rendered.startswith(start) or not found:
            raise UserError(
                f"The chat template of {self.vlm.base} changes the question once it is answered, or the answer; use another base model."
            )
        # What a template writes after the answer counts only if it is a token: LLaVA 1.5's writes a space, and LLaVA 1.6's, by mistake, the
        # letters `<\s>`, which a model would learn to spell.
        end = next((token for token in self.tokenizer.all_special_tokens if rest.startswith(token)), None)
        text = start + answered + post + (end or self.tokenizer.eos_token)
        asked, whole = self._ids(start), self._ids(text)
        # Tokenized as one text, because some tokenizers write the first word of a text differently. So the answer starts where the
        # two sequences part.
        common = next((i for i, pair in enumerate(zip(asked, whole, strict=False)) if pair[0] != pair[1]), len(asked))
        return ConversationText(text, len(whole), len(whole) - common)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Return ``input_ids``, ``attention_mask`` and ``labels`` of shape (batch, tokens), padded on the right, and the pictures."""
        photos = [open_photo(sample) for sample in samples]
        conversations = [self.learned(sample, photo.size) for sample, photo in zip(samples, photos, strict=True)]
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
    """Return the labels of right-padded sequences: the answer's tokens, `IGNORED` elsewhere.

    The model shifts them itself: position *i* of the labels is the token at *i*, predicted from those before it.

    Args:
        input_ids: (batch, tokens).
        lengths: (batch,), tokens without padding.
        answers: (batch,), how many of those, at the end, are the answer's.
    """
    position = torch.arange(input_ids.shape[1])
    is_answer = (position >= (lengths - answers)[:, None]) & (position < lengths[:, None])
    return input_ids.where(is_answer, IGNORED)


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """A sample whose picture went through the vision tower: tokens (tokens,), labels (tokens,), features (image tokens, width)."""

    input_ids: torch.Tensor
    labels: torch.Tensor
    features: torch.Tensor


class EncodedCollator:
    """Makes batches from encoded samples: ``image_features`` (all image tokens, width) stand for the pictures."""

    def __init__(self, padding_token: int) -> None:
        self.padding_token = padding_token

    def __call__(self, samples: Sequence[EncodedSample]) -> Batch:
        """Return ``input_ids``, ``attention_mask`` and ``labels`` of shape (batch, tokens), padded on the right, and the features."""
        ones = [torch.ones_like(sample.input_ids) for sample in samples]
        return {
            "input_ids": pad_sequence(
                [sample.input_ids for sample in samples], batch_first=True, padding_value=self.padding_token
            ),
            "attention_mask": pad_sequence(ones, batch_first=True),
            "labels": pad_sequence([sample.labels for sample in samples], batch_first=True, padding_value=IGNORED),
            "image_features": torch.cat([sample.features for sample in samples]),
        }
