"""Pretraining of the demo base, in LLaVA's own order: vision, language, then both joined.

1. *Eyes*: the vision tower learns to distinguish scenes (with one linear head per attribute, which is dropped
   afterward), as CLIP's tower was trained before LLaVA used it.
2. *Language*: the text model reads plain sentences: descriptions, and general statements about cities, places, moods
   and hashtags. None of them is a post, and none comes with a picture.
3. *Both*: the model describes pictures in plain, generic words. It never sees a place's name with its picture, nor a
   caption in the style of a post: that is left to LoRA.
4. *Signs*: from plain lines again, the text model learns to write emoji, which become tokens, and hashtags at the
   start of a line. LoRA can hardly raise what the base has never seen. This stage is last and short, and leaves the
   vision tower as it is.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from demo.base.pool import ATTRIBUTES, PicturePool
from demo.base.signs import emoji_tokens, sign_text
from demo.base.tokenizer import add_signs
from demo.corpus.describe import background_text, describe
from demo.scenes.scene import sample_scene
from snap2caption.command_line.console import progress_bar
from snap2caption.post import DESCRIBE_PROMPT

IGNORED = -100
"""The label of a position that carries no loss."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long each stage takes, in steps of its batch size, and its peak learning rate."""

    eyes_steps: int = 1800
    eyes_batch: int = 64
    eyes_rate: float = 1e-3
    language_steps: int = 1000
    language_batch: int = 32
    language_tokens: int = 64
    language_rate: float = 2e-3
    joint_steps: int = 1000
    joint_batch: int = 32
    joint_rate: float = 1e-3
    signs_steps: int = 350
    signs_batch: int = 24
    """Rows of text; for three of them there is a picture to describe."""
    signs_rate: float = 1e-3


class Pretraining:
    """The four stages over one model. Everything random comes from *seed*."""

    def __init__(
        self,
        model: LlavaForConditionalGeneration,
        processor: LlavaProcessor,
        pool: PicturePool,
        schedule: Schedule,
        seed: int,
    ) -> None:
        self.model = model
        self.tokenizer = processor.tokenizer
        self.processor = processor
        self.pool = pool
        self.schedule = schedule
        self.seed = seed
        self.rng = random.Random(seed)
        self.numpy_rng = np.random.default_rng(seed)
        width = model.config.vision_config.hidden_size
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in ATTRIBUTES.items()})
        images = processor.image_processor
        self.mean = torch.tensor(images.image_mean).view(1, 3, 1, 1)
        self.std = torch.tensor(images.image_std).view(1, 3, 1, 1)

    def run(self) -> None:
        """Run the four stages."""
        self.train_eyes()
        self.train_language()
        self.train_both()
        self.train_signs()

    def train_eyes(self) -> None:
        """Train the vision tower to tell the attributes of a scene."""
        schedule, tower = self.schedule, self.model.model.vision_tower
        parameters = [*tower.parameters(), *self.heads.parameters()]
        batches = self._indices(schedule.eyes_batch)

        def loss() -> tuple[torch.Tensor, str]:
            indices = next(batches)
            features = tower(pixel_values=self._pixels(indices)).last_hidden_state[:, 1:]
            losses, right = self._attribute_losses(features, indices)
            return losses, " ".join(f"{name} {share:.2f}" for name, share in right.items())

        self._optimize("eyes", parameters, schedule.eyes_rate, schedule.eyes_steps, loss)

    def train_language(self) -> None:
        """Train the text model on plain sentences, packed into rows of ``language_tokens``."""
        schedule = self.schedule
        text_model = nn.ModuleList([self.model.model.language_model, self.model.lm_head])
        rows = self._text_rows(schedule.language_batch, schedule.language_tokens)

        def loss() -> tuple[torch.Tensor, str]:
            return self._text_loss(next(rows)), ""

        self._optimize("language", list(text_model.parameters()), schedule.language_rate, schedule.language_steps, loss)

    def train_both(self) -> None:
        """Train the whole model to describe pictures, keeping eyes and language sharp."""
        schedule = self.schedule
        batches = self._indices(schedule.joint_batch)
        rows = self._text_rows(schedule.joint_batch // 4, schedule.language_tokens)
        parameters = [*self.model.parameters(), *self.heads.parameters()]

        def loss() -> tuple[torch.Tensor, str]:
            indices = next(batches)
            inputs = self._describing(indices)
            features = self.model.model.vision_tower(pixel_values=inputs["pixel_values"]).last_hidden_state[:, 1:]
            answers = self.model(**inputs).loss
            attributes, right = self._attribute_losses(features, indices)
            total = answers + 0.1 * attributes + 0.3 * self._text_loss(next(rows))
            return total, f"answers {answers.item():.3f} " + " ".join(
                f"{name} {share:.2f}" for name, share in right.items()
            )

        self._optimize("both", parameters, schedule.joint_rate, schedule.joint_steps, loss)

    def train_signs(self) -> None:
        """Teach signs to what has learned the rest, beside descriptions, so that nothing is forgotten.

        The eyes stay as they are.

        It starts from weights in 16 bits, as they are shipped, and with random numbers of its own, so it can be done
        again alone.
        """
        schedule = self.schedule
        self.model.to(torch.bfloat16).float()
        add_signs(self.model, self.tokenizer, emoji_tokens(), self.seed)
        self.rng = random.Random(f"signs/{self.seed}")
        self.numpy_rng = np.random.default_rng(self.seed)
        rows = self._text_rows(schedule.signs_batch, schedule.language_tokens, sign_text)
        batches = self._indices(schedule.signs_batch // 3)
        eyes = {id(parameter) for parameter in self.model.model.vision_tower.parameters()}
        parameters = [parameter for parameter in self.model.parameters() if id(parameter) not in eyes]

        def loss() -> tuple[torch.Tensor, str]:
            text, answers = self._text_loss(next(rows)), self.model(**self._describing(next(batches))).loss
            return text + 0.3 * answers, f"text {text.item():.3f} answers {answers.item():.3f}"

        self._optimize("signs", parameters, schedule.signs_rate, schedule.signs_steps, loss)

    def _optimize(self, stage: str, parameters: list[nn.Parameter], rate: float, steps: int, loss_of: Any) -> None:
        optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
        warmup = max(1, steps // 20)
        curve = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min(
                (step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * max(0, step - warmup) / max(1, steps - warmup)))
            ),
        )
        self.model.train()
        with progress_bar() as progress:
            task = progress.add_task(stage, total=steps)
            for step in range(steps):
                loss, note = loss_of()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                curve.step()
                progress.update(task, advance=1, description=f"{stage} loss {loss.item():.3f}")
                if step % 100 == 99:
                    progress.console.print(f"{stage} {step + 1}/{steps} loss {loss.item():.3f} {note}", highlight=False)

    def _indices(self, batch: int) -> Iterator[npt.NDArray[np.int64]]:
        while True:
            order = self.numpy_rng.permutation(len(self.pool.scenes))
            for start in range(0, len(order) - batch + 1, batch):
                yield order[start : start + batch]

    def _pixels(self, indices: npt.NDArray[np.int64]) -> torch.Tensor:
        pixels = torch.from_numpy(self.pool.pixels[indices]).permute(0, 3, 1, 2).float() / 255
        return (pixels - self.mean) / self.std

    def _attribute_losses(
        self, features: torch.Tensor, indices: npt.NDArray[np.int64]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        pooled = features.mean(dim=1)
        total, right = torch.zeros(()), {}
        for name, head in self.heads.items():
            target = torch.from_numpy(self.pool.classes[name][indices])
            logits = head(pooled)
            total = total + functional.cross_entropy(logits, target)
            right[name] = (logits.argmax(-1) == target).float().mean().item()
        return total, right

    def _describing(self, indices: npt.NDArray[np.int64]) -> dict[str, torch.Tensor]:
        vision = self.model.config.vision_config
        image = self.processor.image_token * (vision.image_size // vision.patch_size) ** 2
        rows, labels = [], []
        for index in indices:
            answer = describe(self.pool.scenes[index], self.rng)
            prompt = self.tokenizer(f"USER: {image}\n{DESCRIBE_PROMPT} ASSISTANT:")["input_ids"]
            target = self.tokenizer(" " + answer, add_special_tokens=False)["input_ids"] + [self.tokenizer.eos_token_id]
            rows.append(torch.tensor(prompt + target))
            labels.append(torch.tensor([IGNORED] * len(prompt) + target))
        pad = nn.utils.rnn.pad_sequence
        input_ids = pad(rows, batch_first=True, padding_value=self.tokenizer.pad_token_id)
        return {
            "input_ids": input_ids,
            "attention_mask": (input_ids != self.tokenizer.pad_token_id).long(),
            "labels": pad(labels, batch_first=True, padding_value=IGNORED),
            "pixel_values": self._pixels(indices),
        }

    def _text_rows(
        self, batch: int, tokens: int, write: Callable[[random.Random], str] | None = None
    ) -> Iterator[torch.Tensor]:
        write = write or plain_text
        buffer: list[int] = []
        while True:
            while len(buffer) < batch * tokens:
                text = write(self.rng)
                buffer += [*self.tokenizer(text)["input_ids"], self.tokenizer.eos_token_id]
            yield torch.tensor(buffer[: batch * tokens]).view(batch, tokens)
            buffer = buffer[batch * tokens :]

    def _text_loss(self, rows: torch.Tensor) -> torch.Tensor:
        hidden = self.model.model.language_model(input_ids=rows).last_hidden_state
        logits = self.model.lm_head(hidden[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def plain_text(rng: random.Random) -> str:
    """Return a sentence for the language stage: a general statement, or the description of a picture that is not
    shown.
    """
    return describe(sample_scene(rng), rng) if rng.random() < 0.3 else background_text(rng)
