"""Sections of a training recipe: each setting with its type, bounds and default."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from snap2caption.datasets.manifest import Split
from snap2caption.errors import UserError
from snap2caption.names import BaseName, FileName


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from error
    return pattern


def _host_and_port(endpoint: str) -> str:
    if not re.fullmatch(r"\S+:\d+", endpoint):
        raise ValueError("should be a machine's name and a port, such as node0:29400")
    return endpoint


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class RecipeSection(BaseModel):
    """Base class of a recipe's sections: no unknown setting, no conversion between types, nothing to change afterwards."""

    # Strict: a number in quotes is a text, and 2.0 is no whole number.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class LoraSettings(RecipeSection):
    """The adapter, in the names of PEFT's LoraConfig. ``target_modules`` is matched against the whole path of each module."""

    r: Positive = 16
    lora_alpha: Annotated[float, Field(gt=0)] = 32
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    target_modules: Annotated[str, AfterValidator(_regex)]


class ModelSettings(RecipeSection):
    """The base model (a folder's name under the models directory, or a name on the hub) and the adapter on it.

    ``revision`` pins the base: a commit, tag or branch on the hub, of a folder the digest of its weights; without, what is there now is taken.
    With ``load_in_4bit`` training holds the language model's frozen weights in 4 bits (QLoRA); evaluation and serving hold them whole. Without
    ``do_image_splitting`` a family that looks at a picture and at its pieces (SmolVLM) looks at the picture alone.
    """

    base: BaseName
    revision: FileName | None = None
    load_in_4bit: bool = False
    do_image_splitting: bool = True
    lora: LoraSettings


class FeedbackSettings(RecipeSection):
    """A dataset version of corrected captions that is mixed in: so much of each epoch is its training split, repeated as it takes."""

    uri: str | None = None
    share: Annotated[float, Field(gt=0, lt=1)]

    def version_uri(self) -> str:
        """Return the URI of the dataset version.

        Raises:
            UserError: the recipe names none.
        """
        if not self.uri:
            raise UserError(
                "The recipe mixes in feedback but names no feedback dataset; add data.feedback.uri=URI_OF_THE_DATASET_VERSION to the "
                "command."
            )
        return self.uri.rstrip("/")


class DataSettings(RecipeSection):
    """The dataset version: its URI, or the URI of the datasets' root with ``version``; and which of it, read how.

    With ``stream`` the training split is read from the store as it is needed, a few shards on disk at a time. Without, it is fetched first:
    then batches hold captions of like length, and vision features can be kept.

    Of a post ``max_post_tokens`` are learned, and no more than the base's context has room for: a longer one loses the end of its caption. The
    default is more than twice the 96 tokens that evaluation and serving have written by default. The validation loss is measured on
    ``max_validation_samples`` of the split, spread over its cities and groups; null: on all of them.
    """

    uri: str | None = None
    version: FileName | None = None
    # YAML has lists alone.
    cities: Annotated[tuple[str, ...], Field(strict=False)] = ()
    samples_per_city: Positive | None = None
    stream: bool = False
    max_post_tokens: Annotated[int, Field(ge=16)] = 256
    max_validation_samples: Positive | None = 2000
    feedback: FeedbackSettings | None = None

    def version_uri(self) -> str:
        """Return the URI of the dataset version.

        Raises:
            UserError: the recipe names no dataset.
        """
        if not self.uri:
            raise UserError("The recipe names no dataset; add data.uri=URI_OF_THE_DATASET_VERSION to the command.")
        return f"{self.uri.rstrip('/')}/{self.version}" if self.version else self.uri.rstrip("/")


Precision = Literal["float32", "bfloat16", "float16"]


class TrainingSettings(RecipeSection):
    """How to train, in the names of transformers' TrainingArguments and EarlyStoppingCallback where they mean the same.

    One optimizer step sees ``global_micro_batch_size * gradient_accumulation_steps`` samples, on however many processes: each takes its share
    of a batch, where transformers' ``per_device_train_batch_size`` is one process's. ``threads`` are a machine's; its processes share them.

    The validation loss is measured, and a checkpoint saved, at the end of each epoch and every ``eval_steps`` steps; every ``save_steps`` steps a
    checkpoint is saved without. With ``early_stopping_patience``, training ends once so many measurements in a row have not improved on the best
    by more than ``early_stopping_threshold`` (nats a token), and the adapter of the best one is kept; without, that of the last step.

    ``precision`` is the base's and that of the arithmetic; the adapter is float32 in any case. With ``gradient_checkpointing`` a layer keeps
    its input alone, and computes the rest again on the way back.
    """

    global_micro_batch_size: Positive = 16
    gradient_accumulation_steps: Positive = 1
    learning_rate: Annotated[float, Field(ge=0)] = 2e-4
    num_train_epochs: Positive = 3
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    precision: Precision = "float32"
    gradient_checkpointing: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    threads: Positive | None = None
    feature_cache_gib: Annotated[float, Field(ge=0)] = 2.0
    eval_steps: Positive | None = None
    save_steps: Positive | None = None
    early_stopping_patience: Positive | None = None
    early_stopping_threshold: Annotated[float, Field(ge=0)] = 0.0


class LauncherSettings(RecipeSection):
    """On what the training runs: where it is done, not what comes out. ``launcher: ray`` is short for ``launcher: {kind: ray}``.

    ``local``: in the command's own process. ``torchrun``: in ``processes`` on each of ``nodes`` machines (none given: one for each GPU), started by
    torch's elastic launcher; on several machines the same command is given on each, and they meet at ``rendezvous`` (host:port of one of them).
    ``ray``: in ``processes`` on the Ray cluster at ``address`` (none given: on a Ray started for the occasion), each with ``resources``, such as
    ``{GPU: 1, CPU: 8}``.

    ``checkpoints`` is the URI of a store that gets a copy of each checkpoint: so machines need share no disk, and what a lost one did stays.
    """

    kind: Literal["local", "torchrun", "ray"] = "local"
    processes: Positive | None = None
    nodes: Positive = 1
    rendezvous: Annotated[str, AfterValidator(_host_and_port)] | None = None
    address: str | None = None
    resources: dict[str, Annotated[float, Field(gt=0)]] = {}
    checkpoints: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        belong = {
            "processes": ("torchrun", "ray"),
            "rendezvous": ("torchrun",),
            "address": ("ray",),
            "resources": ("ray",),
        }
        for name, kinds in belong.items():
            if self.kind not in kinds and getattr(self, name):
                raise ValueError(f"has {name}, which is for kind {' or '.join(kinds)}; this one is {self.kind}")
        if self.nodes > 1 and self.kind != "torchrun":
            raise ValueError(f"has {self.nodes} nodes, which is for kind torchrun; this one is {self.kind}")
        if self.nodes > 1 and not (self.rendezvous and self.checkpoints):
            raise ValueError(
                "has several nodes: they need a rendezvous (host:port of one of them) and checkpoints (the URI of a store), as they may share no disk"
            )
        return self


class TrackingSettings(RecipeSection):
    """Where the run is filed in MLflow, and in which project of Weights & Biases, if in one.

    With ``log_system_metrics`` the use of processors, memory, disk, network and GPUs is logged too.
    """

    experiment_name: Annotated[str, Field(min_length=1)] = "snap2caption"
    log_system_metrics: bool = True
    wandb_project: Annotated[str, Field(min_length=1)] | None = None


class EvaluationSettings(RecipeSection):
    """How a model is scored, always by generating captions."""

    split: Split = "test"
    batch_size: Positive = 16
    max_new_tokens: Positive = 96
    max_samples: Positive | None = None


class FeedbackGateSettings(RecipeSection):
    """What a candidate that learned from feedback must show on the feedback's held-out test split: that it is better there.

    On the corpus's test split its CIDEr must then only not be lower by more than ``cider_tolerance``, a share of the incumbent's.
    """

    margin: Annotated[float, Field(ge=0)] = 0.0
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    cider_tolerance: Share = 0.05


class GateSettings(RecipeSection):
    """What a candidate must show. The tolerances are shares of the incumbent's value, but for the hashtags' (a difference of shares).

    Both models are timed on ``latency_photos`` photos; ``latency_tolerance`` is for time to first token and for time per output token.
    Without ``feedback``, scores on the feedback's test split are reported alone.
    """

    margin: Annotated[float, Field(ge=0)] = 0.0
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    bootstrap_samples: Annotated[int, Field(ge=100)] = 2000
    loss_tolerance: Share = 0.05
    city_tolerance: Share = 0.1
    hashtags_tolerance: Share = 0.05
    latency_tolerance: Annotated[float, Field(ge=0)] = 0.5
    latency_photos: Positive = 5
    feedback: FeedbackGateSettings | None = None
